"""For whom a call is made: it follows the call through all services, like the request id.

In the metadata of a gRPC call it is `parley-tenant`, `parley-user` and `parley-actor`, each as
percent-encoded UTF-8. Absent means the default tenant, all its users, and nobody known.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import quote, unquote

from services.runtime.failures.errors import invalid

DEFAULT_TENANT = "default"
"""Whose everything is in a deployment that knows no tenants."""

TENANT_HEADER = "parley-tenant"
USER_HEADER = "parley-user"
ACTOR_HEADER = "parley-actor"

LONGEST_TENANT_BYTES = 63
LONGEST_USER_BYTES = 64
LONGEST_ACTOR_BYTES = 128
_TENANT = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{LONGEST_TENANT_BYTES - 1}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Sees what belongs to its tenant, and where it is a user, to that user alone."""

    tenant_id: str = DEFAULT_TENANT
    user_id: str = ""
    actor: str = ""
    """Who acts, as an audit names it: a key's name, a ticket's user."""

    def sees(self, *, tenant_id: str, user_id: str) -> bool:
        """Whether something of a tenant and a user exists for this caller."""
        return tenant_id == self.tenant_id and self.user_id in ("", user_id)


_NOBODY = Caller()
_current: ContextVar[Caller] = ContextVar("caller", default=_NOBODY)


def current_caller() -> Caller:
    """Return for whom the running code works: outside of any call, for the default tenant."""
    return _current.get()


def of_tenant(tenant_id: str) -> Caller:
    """Return a caller who sees all of a tenant: for work that nobody waits for."""
    return Caller(tenant_id=tenant_id)


@contextmanager
def acting_for(caller: Caller) -> Iterator[None]:
    """Work for the caller inside the block, as do the tasks that begin there."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def check_tenant_id(tenant_id: str) -> str:
    """Return the id; raises ValueError with the rule."""
    if not _TENANT.fullmatch(tenant_id):
        raise ValueError("must be 1 to 63 of a-z, 0-9 and '-', and not begin with '-'")
    return tenant_id


def to_metadata(caller: Caller) -> tuple[tuple[str, str], ...]:
    """Return what a call carries; of what is absent, nothing."""
    named = (
        (TENANT_HEADER, caller.tenant_id if caller.tenant_id != DEFAULT_TENANT else ""),
        (USER_HEADER, caller.user_id),
        (ACTOR_HEADER, caller.actor),
    )
    return tuple((name, quote(value)) for name, value in named if value)


def from_metadata(metadata: Mapping[str, str | bytes]) -> Caller:
    """Return the caller of a received call; raises ServiceError INVALID_REQUEST."""
    tenant_id = _value(metadata, TENANT_HEADER, LONGEST_TENANT_BYTES) or DEFAULT_TENANT
    try:
        check_tenant_id(tenant_id)
    except ValueError as broken:
        raise invalid(TENANT_HEADER, "pattern", str(broken)) from None
    return Caller(
        tenant_id=tenant_id,
        user_id=_value(metadata, USER_HEADER, LONGEST_USER_BYTES),
        actor=_value(metadata, ACTOR_HEADER, LONGEST_ACTOR_BYTES),
    )


def _value(metadata: Mapping[str, str | bytes], name: str, longest_bytes: int) -> str:
    try:
        value = unquote(str(metadata.get(name, "")), errors="strict")
    except UnicodeDecodeError:
        raise invalid(name, "encoding", "must be percent-encoded UTF-8") from None
    if len(value.encode()) > longest_bytes:
        raise invalid(name, "max_bytes", f"must be at most {longest_bytes} bytes")
    return value
