"""Which tasks there are."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from services.task.domain.tasks import Task
from services.task.journal.database import Database, Transaction
from services.task.journal.rows import SqlValue, places, task_from_row, to_micros
from services.task.journal.tables import IS_LIVE, seen
from services.task.ports.search import TaskFilter

# Sorts after every task id.
_AFTER_ALL = "~"


class SqlTaskSearch:
    """Finds tasks in the journal's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: TaskFilter, *, before: str, size: int) -> Sequence[Task]:
        """Return up to `size` tasks with ids below `before` (empty: the newest), newest first."""
        return await self._database.read(partial(_page, wanted=wanted, before=before, size=size))

    async def of_avatar(self, avatar_id: str) -> Task | None:
        """Return the newest task with an avatar."""
        found = await self._tasks(
            "SELECT * FROM tasks WHERE avatar_id = $1 AND avatar_id <> ''"
            " ORDER BY task_id DESC LIMIT 1",
            avatar_id,
        )
        return next(iter(found), None)

    async def live(self) -> Sequence[Task]:
        """Return all tasks that are not in a final state."""
        # Sorted here: the index of the live tasks is small, that of the ids has all tasks.
        tasks = await self._tasks(f"SELECT * FROM tasks WHERE {IS_LIVE}")
        return sorted(tasks, key=lambda task: task.task_id)

    async def of_stream(self, room_id: str, stream_id: str, *, since: datetime) -> Sequence[Task]:
        """Return the tasks for a room and stream that were created after a moment."""
        return await self._tasks(
            "SELECT * FROM tasks WHERE stream_id = $1 AND create_time > $2 AND room_id = $3",
            stream_id,
            to_micros(since),
            room_id,
        )

    async def _tasks(self, sql: str, *parameters: SqlValue) -> Sequence[Task]:
        async def work(transaction: Transaction) -> Sequence[Task]:
            return [task_from_row(row) for row in await transaction.fetch(sql, *parameters)]

        return await self._database.read(work)


async def _page(
    transaction: Transaction, wanted: TaskFilter, *, before: str, size: int
) -> Sequence[Task]:
    parameters: list[SqlValue] = [before or _AFTER_ALL]
    conditions = ["task_id < $1"]
    if not wanted.is_of_every_tenant:
        conditions.append(seen(parameters, user_id=wanted.user_id))
    elif wanted.user_id:
        parameters.append(wanted.user_id)
        conditions.append(f"user_id = ${len(parameters)}")
    if wanted.states:
        conditions.append(f"state IN ({places(wanted.states, first=len(parameters) + 1)})")
        parameters += wanted.states
    if wanted.avatar_id:
        parameters.append(wanted.avatar_id)
        conditions.append(f"avatar_id = ${len(parameters)}")
    parameters.append(size)
    rows = await transaction.fetch(
        f"SELECT * FROM tasks WHERE {' AND '.join(conditions)}"
        f" ORDER BY task_id DESC LIMIT ${len(parameters)}",
        *parameters,
    )
    return [task_from_row(row) for row in rows]
