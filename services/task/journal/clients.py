"""Which clients are there."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from services.task.domain.tasks import SEEN_SHARE, Clock, Task
from services.task.journal.database import Database, Transaction
from services.task.journal.rows import task_from_row, to_micros
from services.task.journal.tables import IS_LIVE
from services.task.ports.clients import Client


class SqlClients:
    """Keeps in the journal's database when clients were there."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def note_seen(self, seen: Mapping[Client, datetime]) -> None:
        """Record when the clients of tasks were there."""
        await self._database.transact(partial(_note, seen=seen))

    async def absent(self, *, noted_since: datetime) -> Sequence[Task]:
        """Return the tasks whose clients are gone for too long."""
        return await self._database.read(
            partial(_absent, now=self._clock(), noted_since=noted_since)
        )


async def _note(transaction: Transaction, seen: Mapping[Client, datetime]) -> None:
    """Record when the clients of tasks were there, unless they had been a moment before."""
    await transaction.execute_many(
        "UPDATE tasks SET seen_time = $2 WHERE task_id = $1 AND tenant_id = $3"
        " AND (user_id = $4 OR $4 = '')"
        f" AND seen_time < $2 - max_absence / {SEEN_SHARE} AND {IS_LIVE}",
        # In the order in which all transactions lock tasks.
        sorted(
            (each.task_id, to_micros(time), each.caller.tenant_id, each.caller.user_id)
            for each, time in seen.items()
        ),
    )


async def _absent(transaction: Transaction, now: datetime, noted_since: datetime) -> Sequence[Task]:
    rows = await transaction.fetch(
        f"SELECT * FROM tasks WHERE {IS_LIVE} AND seen_time + max_absence < $1", to_micros(now)
    )
    tasks = map(task_from_row, rows)
    return [task for task in tasks if task.is_absent(now, noted_since=noted_since)]
