"""Keeps credentials in the journal's database."""

from collections.abc import Sequence
from datetime import datetime

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.audit import Action, deed
from services.task.domain.credentials import ApiKey, Role, Ticket
from services.task.domain.tasks import Clock
from services.task.journal import audit
from services.task.journal.database import Database, Transaction
from services.task.journal.rows import Row, from_micros, to_micros

# Sorts after every key id.
_AFTER_ALL = "~"


class SqlCredentials:
    """Keeps the credentials of all tenants in one SQL database. Every method is one transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_key(self, key: ApiKey, digest: bytes) -> None:
        """Add a key."""
        done = deed(Action.KEY_CREATED, key.key_id)

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                "INSERT INTO api_keys (key_id, digest, tenant_id, user_id, name, role,"
                " create_time, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                key.key_id,
                digest,
                key.tenant_id,
                key.user_id,
                key.name,
                key.role.value,
                to_micros(key.create_time),
                to_micros(key.expire_time) if key.expire_time else None,
            )
            await audit.note(transaction, done)

        await self._database.transact(work)

    async def keys(self, tenant_id: str, *, before: str, size: int) -> Sequence[ApiKey]:
        """Return up to `size` keys of a tenant with ids below `before`, newest first."""

        async def work(transaction: Transaction) -> Sequence[ApiKey]:
            rows = await transaction.fetch(
                "SELECT * FROM api_keys WHERE tenant_id = $1 AND key_id < $2"
                " ORDER BY key_id DESC LIMIT $3",
                tenant_id,
                before or _AFTER_ALL,
                size,
            )
            return [_key(row) for row in rows]

        return await self._database.read(work)

    async def revoke_key(self, tenant_id: str, key_id: str) -> ApiKey:
        """Revoke a key, unless it is; raises ServiceError API_KEY_NOT_FOUND."""
        done = deed(Action.KEY_REVOKED, key_id)

        async def work(transaction: Transaction) -> ApiKey:
            revoked = await transaction.fetch(
                "UPDATE api_keys SET revoke_time = $3"
                " WHERE key_id = $1 AND tenant_id = $2 AND revoke_time IS NULL"
                " RETURNING key_id",
                key_id,
                tenant_id,
                to_micros(self._clock()),
            )
            if revoked:
                await audit.note(transaction, done)
            row = await transaction.fetch_one(
                "SELECT * FROM api_keys WHERE key_id = $1 AND tenant_id = $2", key_id, tenant_id
            )
            if row is None:
                raise ServiceError(
                    Reason.API_KEY_NOT_FOUND, "key_id: there is no such API key", key_id=key_id
                )
            return _key(row)

        return await self._database.transact(work)

    async def find(self, digest: bytes) -> ApiKey | Ticket:
        """Return what may be used again and has this digest; raises CREDENTIALS_INVALID."""
        now = to_micros(self._clock())

        async def work(transaction: Transaction) -> ApiKey | Ticket:
            row = await transaction.fetch_one(
                "SELECT * FROM api_keys WHERE digest = $1 AND revoke_time IS NULL"
                " AND coalesce(expire_time > $2, TRUE)",
                digest,
                now,
            )
            if row is not None:
                return _key(row)
            row = await transaction.fetch_one(
                "SELECT * FROM tickets WHERE digest = $1 AND expire_time > $2"
                " AND is_single_use = 0",
                digest,
                now,
            )
            return _ticket(row)

        return await self._database.read(work)

    async def add_ticket(self, ticket: Ticket, digest: bytes) -> None:
        """Add a ticket."""
        done = deed(Action.TICKET_CREATED, ticket.ticket_id)

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                "INSERT INTO tickets (ticket_id, digest, tenant_id, user_id, task_id,"
                " is_single_use, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                ticket.ticket_id,
                digest,
                ticket.tenant_id,
                ticket.user_id,
                ticket.task_id,
                int(ticket.is_single_use),
                to_micros(ticket.expire_time),
            )
            await audit.note(transaction, done)

        await self._database.transact(work)

    async def forget_expired(self) -> None:
        """Delete the tickets that have expired."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                "DELETE FROM tickets WHERE expire_time < $1", to_micros(self._clock())
            )

        await self._database.transact(work)

    async def redeem(self, digest: bytes) -> Ticket:
        """Use up a single-use ticket; raises ServiceError CREDENTIALS_INVALID."""
        now = to_micros(self._clock())

        async def work(transaction: Transaction) -> Ticket:
            rows = await transaction.fetch_for_update(
                "SELECT * FROM tickets WHERE digest = $1 AND expire_time > $2"
                " AND is_single_use = 1 AND use_time IS NULL",
                digest,
                now,
            )
            ticket = _ticket(rows[0] if rows else None)
            await transaction.execute(
                "UPDATE tickets SET use_time = $2 WHERE ticket_id = $1", ticket.ticket_id, now
            )
            return ticket

        return await self._database.transact(work)

    async def bind(self, tenant_id: str, ticket_id: str, task_id: str) -> None:
        """Bind a ticket to a task; raises CREDENTIALS_INVALID if it has another one."""

        async def work(transaction: Transaction) -> None:
            rows = await transaction.fetch_for_update(
                "SELECT * FROM tickets WHERE ticket_id = $1 AND tenant_id = $2",
                ticket_id,
                tenant_id,
            )
            ticket = _ticket(rows[0] if rows else None)
            if ticket.task_id not in ("", task_id):
                raise _invalid()
            await transaction.execute(
                "UPDATE tickets SET task_id = $2 WHERE ticket_id = $1", ticket_id, task_id
            )

        await self._database.transact(work)

    async def revoke_ticket(self, tenant_id: str, ticket_id: str) -> None:
        """Have a ticket expire, if the tenant has one with this id."""
        now = to_micros(self._clock())
        done = deed(Action.TICKET_REVOKED, ticket_id)

        async def work(transaction: Transaction) -> None:
            revoked = await transaction.fetch(
                "UPDATE tickets SET expire_time = $3"
                " WHERE ticket_id = $1 AND tenant_id = $2 AND expire_time > $3"
                " RETURNING ticket_id",
                ticket_id,
                tenant_id,
                now,
            )
            if revoked:
                await audit.note(transaction, done)

        await self._database.transact(work)


def _key(row: Row) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        name=row["name"],
        role=Role(row["role"]),
        create_time=from_micros(row["create_time"]),
        expire_time=_time(row["expire_time"]),
        revoke_time=_time(row["revoke_time"]),
    )


def _ticket(row: Row | None) -> Ticket:
    """Return the ticket of a row; raises ServiceError where there is none."""
    if row is None:
        raise _invalid()
    return Ticket(
        ticket_id=row["ticket_id"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        task_id=row["task_id"],
        is_single_use=bool(row["is_single_use"]),
        expire_time=from_micros(row["expire_time"]),
    )


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _invalid() -> ServiceError:
    """Return the one answer for every credential that is not good."""
    return ServiceError(Reason.CREDENTIALS_INVALID, "The credential is not valid.")
