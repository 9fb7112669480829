"""Keys and tickets in memory, for gateways over scripted services."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.credentials import ApiKey, Ticket


@dataclass(slots=True)
class MemoryCredentials:
    """Keeps credentials until the test is over; none expires."""

    _keys: dict[bytes, ApiKey] = field(default_factory=dict)
    _tickets: dict[bytes, Ticket] = field(default_factory=dict)

    async def add_key(self, key: ApiKey, digest: bytes) -> None:
        """Add a key."""
        self._keys[digest] = key

    async def keys(self, tenant_id: str, *, before: str, size: int) -> Sequence[ApiKey]:
        """Return the keys of a tenant, newest first."""
        own = [key for key in reversed(self._keys.values()) if key.tenant_id == tenant_id]
        return [key for key in own if key.key_id < (before or "~")][:size]

    async def revoke_key(self, tenant_id: str, key_id: str) -> ApiKey:
        """Revoke a key."""
        for digest, key in self._keys.items():
            if (key.tenant_id, key.key_id) == (tenant_id, key_id):
                self._keys[digest] = replace(key, revoke_time=datetime.now(UTC))
                return self._keys[digest]
        raise ServiceError(Reason.API_KEY_NOT_FOUND, "There is no such API key.")

    async def find(self, digest: bytes) -> ApiKey | Ticket:
        """Return the credential with this digest."""
        key = self._keys.get(digest)
        if key is not None and key.revoke_time is None:
            return key
        ticket = self._tickets.get(digest)
        if ticket is None or ticket.is_single_use:
            raise _invalid()
        return ticket

    async def add_ticket(self, ticket: Ticket, digest: bytes) -> None:
        """Add a ticket."""
        self._tickets[digest] = ticket

    async def forget_expired(self) -> None:
        """Do nothing: none expires."""

    async def redeem(self, digest: bytes) -> Ticket:
        """Use up a single-use ticket."""
        ticket = self._tickets.get(digest)
        if ticket is None or not ticket.is_single_use:
            raise _invalid()
        return self._tickets.pop(digest)

    async def bind(self, tenant_id: str, ticket_id: str, task_id: str) -> None:
        """Bind a ticket to a task."""
        for digest, ticket in self._tickets.items():
            if (ticket.tenant_id, ticket.ticket_id) == (tenant_id, ticket_id):
                self._tickets[digest] = replace(ticket, task_id=task_id)

    async def revoke_ticket(self, tenant_id: str, ticket_id: str) -> None:
        """Forget a ticket."""
        self._tickets = {
            digest: ticket
            for digest, ticket in self._tickets.items()
            if (ticket.tenant_id, ticket.ticket_id) != (tenant_id, ticket_id)
        }


def _invalid() -> ServiceError:
    return ServiceError(Reason.CREDENTIALS_INVALID, "The credential is not valid.")
