"""Who did what: the entries of the audit log, and what keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.runtime.callers.caller import current_caller
from services.runtime.callers.requests import current_request_id


class Action(StrEnum):
    """What was done; part of the contract, so that none is ever renamed."""

    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_STOPPED = "task.stopped"
    CONVERSATION_ERASED = "conversation.erased"
    USER_EXPORTED = "user.exported"
    USER_ERASED = "user.erased"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    TICKET_CREATED = "ticket.created"
    TICKET_REVOKED = "ticket.revoked"
    WEBHOOK_ADDED = "webhook.added"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_KEY_ROTATED = "webhook.key_rotated"
    DEAD_LETTERS_REPLAYED = "webhook.dead_letters_replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody does to a subject: the id of a task, a key or a webhook; never a secret."""

    tenant_id: str
    actor: str
    user_id: str
    action: Action
    subject: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A deed as recorded; higher numbers are newer. An action may be of a newer version."""

    number: int
    time: datetime
    tenant_id: str
    actor: str
    user_id: str
    action: str
    subject: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries to list, all of one tenant; empty fields do not restrict."""

    tenant_id: str
    actor: str = ""
    action: str = ""
    subject: str = ""


class AuditLog(Protocol):
    """Keeps entries. Every method is one transaction and raises ServiceError."""

    async def note(self, action: Action, subject: str) -> None:
        """Record what the current caller has done, after the fact.

        What is done in a transaction is noted within it: see `services.task.journal.audit`.
        """

    async def page(self, wanted: AuditFilter, *, before: int | None, size: int) -> Sequence[Entry]:
        """Return up to `size` entries below a number (None: the newest), newest first."""

    async def forget(self, *, before: datetime) -> None:
        """Remove the entries from before a time."""


def deed(action: Action, subject: str) -> Deed:
    """Return what the current caller does, to be recorded in a transaction.

    It is made before that begins: a transaction may run where nothing is known of its caller.
    """
    caller = current_caller()
    return Deed(
        tenant_id=caller.tenant_id,
        actor=caller.actor,
        user_id=caller.user_id,
        action=action,
        subject=subject,
        request_id=current_request_id(),
    )
