"""Credentials: API keys and tickets. Of their secrets only digests are kept."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

KEY_PREFIX = "parley_key_"
TICKET_PREFIX = "parley_ticket_"
ONCE_PREFIX = "parley_once_"

_SECRET_BYTES = 32
_ID_BYTES = 10


class Role(StrEnum):
    """What a credential allows; each also allows what the ones before it do."""

    USER = "USER"
    SERVER = "SERVER"
    OPERATOR = "OPERATOR"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key of a tenant, without its secret; `user_id` is set for role USER alone."""

    key_id: str
    tenant_id: str
    name: str
    role: Role
    user_id: str = ""
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Opens one task; without a `task_id`, its user may create that task."""

    ticket_id: str
    tenant_id: str
    user_id: str
    task_id: str
    is_single_use: bool
    expire_time: datetime


class Credentials(Protocol):
    """Keeps API keys and tickets, which are found by the digests of their secrets.

    Every method is one transaction, as with the journal. Whatever is wrong with a credential is a
    ServiceError with CREDENTIALS_INVALID.
    """

    async def add_key(self, key: ApiKey, digest: bytes) -> None:
        """Add a key."""

    async def keys(self, tenant_id: str, *, before: str, size: int) -> Sequence[ApiKey]:
        """Return up to `size` keys of a tenant with ids below `before` (empty: the newest)."""

    async def revoke_key(self, tenant_id: str, key_id: str) -> ApiKey:
        """Revoke a key, unless it is; raises ServiceError API_KEY_NOT_FOUND."""

    async def find(self, digest: bytes) -> ApiKey | Ticket:
        """Return the credential with this digest, unless it may be used only once."""

    async def add_ticket(self, ticket: Ticket, digest: bytes) -> None:
        """Add a ticket."""

    async def forget_expired(self) -> None:
        """Delete the tickets that have expired."""

    async def redeem(self, digest: bytes) -> Ticket:
        """Use up a single-use ticket."""

    async def bind(self, tenant_id: str, ticket_id: str, task_id: str) -> None:
        """Bind a ticket to a task, unless it has another one."""

    async def revoke_ticket(self, tenant_id: str, ticket_id: str) -> None:
        """Have a ticket expire, if a tenant has one with this id."""


def new_secret(prefix: str) -> str:
    """Return 256 random bits, which the prefix makes recognisable."""
    return prefix + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(secret: str) -> bytes:
    """Return what is stored of a secret: as it is random, a plain hash cannot be reversed."""
    return hashlib.sha256(secret.encode()).digest()


def new_key_id(now: datetime) -> str:
    """Return an id that sorts by time."""
    return f"key_{_moment(now)}{secrets.token_hex(_ID_BYTES)}"


def new_ticket_id(now: datetime) -> str:
    """Return an id that sorts by time."""
    return f"ticket_{_moment(now)}{secrets.token_hex(_ID_BYTES)}"


def _moment(now: datetime) -> str:
    return f"{int(now.timestamp() * 1_000_000):014x}"
