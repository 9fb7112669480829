"""The journal of tasks in SQLite: rows, their events and the requests that created them."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.task.conversation import Conversation, ConversationEvent, RecordedTurn, TaskEvent
from services.task.ports import REQUEST_LIFE, Quota, Request, Snapshot, TaskFilter
from services.task.sqlite import record
from services.task.sqlite.database import Database, Transaction
from services.task.sqlite.rows import (
    TASK_COLUMNS,
    event_from_row,
    task_from_row,
    task_to_content,
    task_to_row,
    to_micros,
)
from services.task.sqlite.timeline import Timeline, continue_from
from services.task.tasks import LIVE_STATES, Clock, Task, TaskState, claimed
from services.task.telemetry import note_change

log = structlog.get_logger(__name__)

_LIVE = tuple(sorted(LIVE_STATES))
_IS_LIVE = f"state IN ({', '.join('?' for _ in _LIVE)})"
_INSERT_TASK = (
    f"INSERT INTO tasks ({', '.join(TASK_COLUMNS)})"
    f" VALUES ({', '.join(f':{column}' for column in TASK_COLUMNS)})"
)
_UPDATE_TASK = (
    f"UPDATE tasks SET {', '.join(f'{column} = :{column}' for column in TASK_COLUMNS[1:])}"
    " WHERE task_id = :task_id"
)


class SqliteJournal:
    """Keeps everything in one SQLite database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def continue_from(self, timeline: Timeline) -> None:
        """Move the times of live tasks onto the timeline of this process."""
        shift = await self._database.transact(
            lambda transaction: continue_from(transaction, timeline)
        )
        if shift:
            log.warning("times of tasks shifted with the wall clock", by_s=shift.total_seconds())

    async def add(self, task: Task, request: Request | None, quota: Quota) -> Task:
        """Record a new task, or return the one that an earlier call with the request created."""

        def work(transaction: Transaction) -> Task:
            known = self._answered(transaction, request)
            if known is not None:
                return _task(transaction, known)
            _check_stream(transaction, task)
            _check_quota(transaction, task, quota)
            transaction.execute(_INSERT_TASK, task_to_row(task))
            self._note_request(transaction, request, task.task_id)
            self._note_state(transaction, task)
            return task

        added = await self._database.transact(work)
        if added is task:
            note_change(None, task, now=self._clock())
        return added

    async def find_created(self, request: Request | None) -> Task:
        """Return the task that an earlier call with the request created."""

        def work(transaction: Transaction) -> Task:
            known = self._answered(transaction, request)
            if known is None:
                raise ServiceError(Reason.TASK_NOT_FOUND, "No task was made by this request.")
            return _task(transaction, known)

        return await self._database.transact(work)

    async def change(
        self, task_id: str, change: Callable[[Task], Task], request: Request | None = None
    ) -> tuple[Task, Task]:
        """Replace a task with what `change` makes of it; return it before and after."""

        def work(transaction: Transaction) -> tuple[Task, Task]:
            before = _task(transaction, task_id)
            if self._answered(transaction, request) is not None:
                return before, before
            after = change(before)
            self._note_request(transaction, request, task_id)
            if after != before:
                transaction.execute(_UPDATE_TASK, task_to_row(after))
            if after.state != before.state:
                self._note_state(transaction, after)
            if before.state is TaskState.CREATING and after.state is TaskState.FAILED:
                transaction.execute("DELETE FROM requests WHERE task_id = ?", (task_id,))
            return before, after

        before, after = await self._database.transact(work)
        note_change(before, after, now=self._clock())
        return before, after

    async def get(self, task_id: str) -> Task:
        """Return a task."""
        return await self._database.transact(lambda transaction: _task(transaction, task_id))

    async def get_by_avatar(self, avatar_id: str) -> Task:
        """Return the newest task with an avatar."""
        found = await self.page(TaskFilter(avatar_id=avatar_id), before="", size=1)
        if not found:
            raise ServiceError(
                Reason.TASK_NOT_FOUND, "avatar_id: no task has this avatar", avatar_id=avatar_id
            )
        return found[0]

    async def live(self) -> Sequence[Task]:
        """Return all tasks that are not in a final state."""
        return await self._tasks(f"SELECT * FROM tasks WHERE {_IS_LIVE} ORDER BY task_id", *_LIVE)

    async def of_stream(self, room_id: str, stream_id: str, *, since: datetime) -> Sequence[Task]:
        """Return the tasks for a room and stream that were created after a moment."""
        return await self._tasks(
            "SELECT * FROM tasks WHERE stream_id = ? AND create_time > ? AND room_id = ?",
            stream_id,
            to_micros(since),
            room_id,
        )

    async def is_repeatable(self, task_id: str) -> bool:
        """Return whether a request id leads to the task."""

        def work(transaction: Transaction) -> bool:
            sql = "SELECT 1 FROM requests WHERE task_id = ?"
            return transaction.execute(sql, (task_id,)).fetchone() is not None

        return await self._database.transact(work)

    async def page(self, wanted: TaskFilter, *, before: str, size: int) -> Sequence[Task]:
        """Return up to `size` tasks with ids below `before` (empty: the newest), newest first."""
        conditions = ["task_id < ?"] if before else []
        parameters: list[str | int] = [before] if before else []
        if wanted.states:
            conditions.append(f"state IN ({', '.join('?' for _ in wanted.states)})")
            parameters += wanted.states
        for column, value in (("user_id", wanted.user_id), ("avatar_id", wanted.avatar_id)):
            if value:
                conditions.append(f"{column} = ?")
                parameters.append(value)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        return await self._tasks(
            f"SELECT * FROM tasks {where} ORDER BY task_id DESC LIMIT ?", *parameters, size
        )

    async def snapshot(self, task_id: str) -> Snapshot:
        """Return a task and its last sequence, read together."""

        def work(transaction: Transaction) -> Snapshot:
            task = _task(transaction, task_id)
            return Snapshot(task=task, last_sequence=record.last_sequence(transaction, task_id))

        return await self._database.transact(work)

    async def events_after(
        self, task_id: str, sequence: int, *, limit: int
    ) -> tuple[Sequence[TaskEvent], bool]:
        """Return the next events, and whether nothing can follow them."""

        def work(transaction: Transaction) -> tuple[Sequence[TaskEvent], bool]:
            rows = transaction.execute(
                "SELECT * FROM events WHERE task_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
                (task_id, sequence, limit),
            ).fetchall()
            is_whole = len(rows) < limit
            return (
                [event_from_row(row) for row in rows],
                is_whole and _task(transaction, task_id).state.is_final,
            )

        return await self._database.transact(work)

    async def append(
        self, task_id: str, events: Sequence[ConversationEvent], *, closing_grace: timedelta
    ) -> int:
        """Append events to a conversation, skipping those it has; return its last sequence."""

        def work(transaction: Transaction) -> int:
            task = _task(transaction, task_id)
            if task.claim_by is not None:
                # A caller who records speech knows of the task.
                transaction.execute(_UPDATE_TASK, task_to_row(claimed(task)))
            now = self._clock()
            is_over = task.stop_time is not None and now > task.stop_time + closing_grace
            return record.append(transaction, task, events, now=now, takes_closing=not is_over)

        return await self._database.transact(work)

    async def conversation(
        self, task_id: str, *, after_turn_id: int, after_sequence: int | None
    ) -> Conversation:
        """Return a page of what was said in a task."""

        def work(transaction: Transaction) -> Conversation:
            _task(transaction, task_id)
            return record.conversation(
                transaction, task_id, after_turn_id=after_turn_id, after_sequence=after_sequence
            )

        return await self._database.transact(work)

    async def turn(self, task_id: str, turn_id: int) -> RecordedTurn:
        """Return a turn of a task."""

        def work(transaction: Transaction) -> RecordedTurn:
            _task(transaction, task_id)
            return record.turn(transaction, task_id, turn_id)

        return await self._database.transact(work)

    async def last_turn_time(self, task_id: str) -> datetime | None:
        """Return when the last turn of a task's conversation ended, or began if it still runs."""
        return await self._database.transact(
            lambda transaction: record.last_turn_time(transaction, task_id)
        )

    async def forget_requests(self) -> None:
        """Delete the requests that are too old to be repeated."""

        def work(transaction: Transaction) -> None:
            oldest = to_micros(self._clock() - REQUEST_LIFE)
            transaction.execute("DELETE FROM requests WHERE time < ?", (oldest,))

        await self._database.transact(work)

    async def _tasks(self, sql: str, *parameters: str | int) -> Sequence[Task]:
        def work(transaction: Transaction) -> Sequence[Task]:
            return [task_from_row(row) for row in transaction.execute(sql, parameters)]

        return await self._database.transact(work)

    def _answered(self, transaction: Transaction, request: Request | None) -> str | None:
        """Return the task that a request led to before; raises if its id had another digest."""
        if request is None:
            return None
        row = transaction.execute(
            "SELECT digest, task_id FROM requests WHERE request_id = ? AND time >= ?",
            (request.request_id, to_micros(self._clock() - REQUEST_LIFE)),
        ).fetchone()
        if row is None:
            return None
        if row["digest"] != request.digest:
            raise ServiceError(
                Reason.REQUEST_ID_REUSED,
                "request_id: it was used with another request",
                request_id=request.request_id,
            )
        task_id: str = row["task_id"]
        return task_id

    def _note_request(
        self, transaction: Transaction, request: Request | None, task_id: str
    ) -> None:
        if request is not None:
            transaction.execute(
                "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?)",
                (request.request_id, request.digest, task_id, to_micros(self._clock())),
            )

    def _note_state(self, transaction: Transaction, task: Task) -> None:
        record.note(transaction, task.task_id, task_to_content(task), now=self._clock())


def _task(transaction: Transaction, task_id: str) -> Task:
    row = transaction.execute("SELECT * FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    if row is None:
        raise ServiceError(Reason.TASK_NOT_FOUND, "task_id: there is no such task", task_id=task_id)
    return task_from_row(row)


def _check_stream(transaction: Transaction, task: Task) -> None:
    row = transaction.execute(
        f"SELECT 1 FROM tasks WHERE stream_id = ? AND {_IS_LIVE}", (task.stream_id, *_LIVE)
    ).fetchone()
    if row is not None:
        raise ServiceError(
            Reason.STREAM_IN_USE,
            "stream_id: a running task has this stream",
            stream_id=task.stream_id,
        )


def _check_quota(transaction: Transaction, task: Task, quota: Quota) -> None:
    sql = f"SELECT count(*) FROM tasks WHERE {_IS_LIVE}"
    running = transaction.execute(sql, _LIVE).fetchone()[0]
    if running >= quota.running:
        raise ServiceError(
            Reason.QUOTA_EXCEEDED, f"{running} tasks are running, no more are allowed"
        )
    if not task.user_id:
        return
    own = transaction.execute(f"{sql} AND user_id = ?", (*_LIVE, task.user_id)).fetchone()[0]
    if own >= quota.running_per_user:
        raise ServiceError(
            Reason.QUOTA_EXCEEDED, f"user_id: {own} tasks of this user are running, no more allowed"
        )
