"""The audit log, within one transaction and as a port of its own."""

from collections.abc import Sequence
from datetime import datetime

from services.task.domain.audit import Action, AuditFilter, Deed, Entry, deed
from services.task.journal.database import Database, Transaction
from services.task.journal.rows import Row, SqlValue, from_micros, to_micros


async def note(transaction: Transaction, done: Deed) -> None:
    """Record what somebody does in this transaction."""
    await transaction.execute(
        "INSERT INTO audit (tenant_id, time, actor, user_id, action, subject, request_id)"
        " VALUES ($1, now_micros(), $2, $3, $4, $5, $6)",
        done.tenant_id,
        done.actor,
        done.user_id,
        done.action.value,
        done.subject,
        done.request_id,
    )


class SqlAuditLog:
    """Keeps entries in the journal's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, action: Action, subject: str) -> None:
        """Record what the current caller has done, after the fact."""
        done = deed(action, subject)

        async def work(transaction: Transaction) -> None:
            await note(transaction, done)

        await self._database.transact(work)

    async def page(self, wanted: AuditFilter, *, before: int | None, size: int) -> Sequence[Entry]:
        """Return up to `size` entries below a number (None: the newest), newest first."""
        conditions, parameters = ["tenant_id = $1"], list[SqlValue]([wanted.tenant_id])
        for column, operator, value in (
            ("number", "<", before),
            ("actor", "=", wanted.actor or None),
            ("action", "=", wanted.action or None),
            ("subject", "=", wanted.subject or None),
        ):
            if value is not None:
                parameters.append(value)
                conditions.append(f"{column} {operator} ${len(parameters)}")
        parameters.append(size)

        async def work(transaction: Transaction) -> Sequence[Entry]:
            rows = await transaction.fetch(
                f"SELECT * FROM audit WHERE {' AND '.join(conditions)}"
                f" ORDER BY number DESC LIMIT ${len(parameters)}",
                *parameters,
            )
            return [_entry(row) for row in rows]

        return await self._database.read(work)

    async def forget(self, *, before: datetime) -> None:
        """Remove the entries from before a time."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute("DELETE FROM audit WHERE time < $1", to_micros(before))

        await self._database.transact(work)


def _entry(row: Row) -> Entry:
    return Entry(
        number=row["number"],
        time=from_micros(row["time"]),
        tenant_id=row["tenant_id"],
        actor=row["actor"],
        user_id=row["user_id"],
        action=row["action"],
        subject=row["subject"],
        request_id=row["request_id"],
    )
