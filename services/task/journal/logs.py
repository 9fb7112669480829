"""The logs of tasks: each call is one transaction."""

from collections.abc import Sequence

from services.task.domain.conversation import TaskEvent
from services.task.journal import record, tables
from services.task.journal.database import Database, Transaction
from services.task.ports.logs import Snapshot


class SqlTaskLogs:
    """Reads logs in the journal's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self, task_id: str) -> Snapshot:
        """Return a task and its last sequence, read together."""

        async def work(transaction: Transaction) -> Snapshot:
            task = await tables.get(transaction, task_id)
            last_sequence = await record.last_sequence(transaction, task_id)
            return Snapshot(task=task, last_sequence=last_sequence)

        return await self._database.read(work)

    async def events_after(
        self, task_id: str, sequence: int, *, limit: int
    ) -> tuple[Sequence[TaskEvent], bool]:
        """Return the next events, and whether nothing can follow them."""

        async def work(transaction: Transaction) -> tuple[Sequence[TaskEvent], bool]:
            task = await tables.get(transaction, task_id)
            events = await record.events_after(transaction, task_id, sequence, limit=limit)
            return events, len(events) < limit and task.state.is_final

        return await self._database.read(work)

    async def wake(self, task_id: str) -> None:
        """Wake everyone who watches a task, on every replica."""

        async def work(transaction: Transaction) -> None:
            transaction.announce(task_id)

        await self._database.transact(work)
