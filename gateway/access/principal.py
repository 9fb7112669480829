"""Who calls, and what that allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import IntEnum

from services.runtime.callers.caller import (
    DEFAULT_TENANT,
    TENANT_HEADER,
    Caller,
    acting_for,
    check_tenant_id,
)
from services.runtime.failures.errors import ServiceError, invalid
from services.runtime.failures.reasons import Reason


class Role(IntEnum):
    """What a credential allows; each also allows what the ones before it do."""

    USER = 1
    SERVER = 2
    OPERATOR = 3


class Clearance(IntEnum):
    """What a route demands of its caller, from nothing to everything."""

    NONE = 0
    TICKET = 1
    """The task of a ticket."""
    USER = 2
    """The tasks of one user."""
    SERVER = 3
    """The tasks of a tenant."""
    OPERATOR = 4
    """Everything of a tenant."""
    DEPLOYMENT = 5
    """Everything: an operator of the default tenant, which is the deployment's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls. One with a `ticket_id` reaches the task `task_id` alone, if it has one yet."""

    credential_id: str
    """By what requests are counted."""
    actor: str
    """As an audit names it."""
    role: Role
    tenant_id: str = DEFAULT_TENANT
    user_id: str = ""
    ticket_id: str = ""
    task_id: str = ""

    @property
    def clearance(self) -> Clearance:
        """What the principal may demand of routes."""
        if self.ticket_id:
            return Clearance.TICKET
        match self.role:
            case Role.USER:
                return Clearance.USER
            case Role.SERVER:
                return Clearance.SERVER
            case Role.OPERATOR if self.tenant_id == DEFAULT_TENANT:
                return Clearance.DEPLOYMENT
            case Role.OPERATOR:
                return Clearance.OPERATOR

    def of_tenant(self, tenant_id: str) -> "Principal":
        """Return an operator of a tenant, which an operator of the deployment may become.

        Raises ServiceError.
        """
        try:
            check_tenant_id(tenant_id)
        except ValueError as broken:
            raise invalid(TENANT_HEADER, "pattern", str(broken)) from None
        if tenant_id != self.tenant_id:
            self.require(Clearance.DEPLOYMENT)
        return replace(self, tenant_id=tenant_id)

    def require(self, needed: Clearance) -> None:
        """Raise ServiceError PERMISSION_DENIED if a route demands more."""
        if self.clearance < needed:
            raise ServiceError(Reason.PERMISSION_DENIED, "These credentials do not allow this.")


ITSELF = Principal(credential_id="gateway", actor="", role=Role.OPERATOR)
"""The gateway, outside of any request."""

_current: ContextVar[Principal] = ContextVar("principal", default=ITSELF)


def current_principal() -> Principal:
    """Return who called for what runs now."""
    return _current.get()


@contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    """Work for the principal inside the block, as do the services that are called there."""
    token = _current.set(principal)
    caller = Caller(tenant_id=principal.tenant_id, user_id=principal.user_id, actor=principal.actor)
    try:
        with acting_for(caller):
            yield
    finally:
        _current.reset(token)


def bind_to_task(task_id: str) -> None:
    """Let the ticket of the request that is being served reach the task that it has created."""
    _current.set(replace(_current.get(), task_id=task_id))
