"""What is recorded of a task, within one transaction: its numbered events, and its turns."""

from collections.abc import Sequence
from datetime import datetime

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import (
    PAGE_BYTES,
    Conversation,
    RecordedTurn,
    TaskEvent,
    check_range,
)
from services.task.journal.database import Transaction
from services.task.journal.rows import (
    Row,
    event_from_row,
    from_micros,
    to_micros,
    turn_from_row,
)

_PIECE = 50


async def last_sequence(transaction: Transaction, task_id: str) -> int:
    """Return the sequence of a task's last event, 0 before the first."""
    row = await transaction.fetch_one(
        "SELECT erased_events AS erased,"
        " (SELECT max(sequence) FROM events WHERE events.task_id = tasks.task_id) AS last"
        " FROM tasks WHERE task_id = $1",
        task_id,
    )
    return _last(row)


async def note(transaction: Transaction, task_id: str, content: bytes, *, now: datetime) -> int:
    """Add a change of state to a task's log; return its sequence."""
    [row] = await transaction.fetch(
        "INSERT INTO events (task_id, sequence, time, content) VALUES"
        " ($1, (SELECT coalesce(max(sequence), 0) + 1 FROM events WHERE task_id = $1), $2, $3)"
        " RETURNING sequence",
        task_id,
        to_micros(now),
        content,
    )
    transaction.announce(task_id)
    return int(row["sequence"])


async def events_after(
    transaction: Transaction, task_id: str, sequence: int, *, limit: int
) -> Sequence[TaskEvent]:
    """Return the events of a task that follow one."""
    rows = await transaction.fetch(
        "SELECT * FROM events WHERE task_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
        task_id,
        sequence,
        limit,
    )
    return [event_from_row(row) for row in rows]


async def conversation(
    transaction: Transaction, task_id: str, *, after_turn_id: int, after_sequence: int | None
) -> Conversation:
    """Return a page of what was said in a task. Raises ServiceError with SEQUENCE_OUT_OF_RANGE."""
    last = await _last_of_conversation(transaction, task_id)
    check_range(after_sequence, last)
    turns, has_more_turns = await _page(
        transaction,
        "SELECT * FROM turns WHERE task_id = $1 AND turn_id > $2 ORDER BY turn_id LIMIT $3",
        task_id,
        after_turn_id,
        key="turn_id",
    )
    events, has_more_events = await _page(
        transaction,
        "SELECT conversation_sequence, content FROM events"
        " WHERE task_id = $1 AND conversation_sequence > $2"
        " ORDER BY conversation_sequence LIMIT $3",
        task_id,
        last if after_sequence is None else after_sequence,
        key="conversation_sequence",
    )
    return Conversation(
        turns=tuple(turn_from_row(row) for row in turns),
        last_sequence=last,
        events=tuple(row["content"] for row in events),
        has_more=has_more_turns or has_more_events,
    )


async def turn(transaction: Transaction, task_id: str, turn_id: int) -> RecordedTurn:
    """Return a turn of a task. Raises ServiceError with TURN_NOT_FOUND."""
    row = await transaction.fetch_one(
        "SELECT turns.*, content AS closing FROM turns LEFT JOIN events"
        " ON events.task_id = turns.task_id AND conversation_sequence = closed_by"
        " WHERE turns.task_id = $1 AND turn_id = $2",
        task_id,
        turn_id,
    )
    if row is None:
        raise ServiceError(
            Reason.TURN_NOT_FOUND,
            f"turn_id: the task has no turn {turn_id}",
            task_id=task_id,
            turn_id=str(turn_id),
        )
    return RecordedTurn(turn=turn_from_row(row), closing=row["closing"] or b"")


async def last_turn_time(transaction: Transaction, task_id: str) -> datetime | None:
    """Return when the last turn of a task's conversation ended, or began if it still runs."""
    row = await transaction.fetch_one(
        "SELECT max(coalesce(finish_time, start_time)) AS last FROM turns WHERE task_id = $1",
        task_id,
    )
    return None if row is None or row["last"] is None else from_micros(row["last"])


async def _page(
    transaction: Transaction, sql: str, task_id: str, after: int, *, key: str
) -> tuple[list[Row], bool]:
    """Return the rows that fit on a page, at least one, and whether more follow.

    They are read in pieces, as all that was said may be too much for the memory.
    """
    page: list[Row] = []
    size = 0
    while True:
        rows = await transaction.fetch(sql, task_id, after, _PIECE)
        for row in rows:
            size += sum(map(_bytes, row))
            if page and size > PAGE_BYTES:
                return page, True
            page.append(row)
        if len(rows) < _PIECE:
            return page, False
        after = rows[-1][key]


def _bytes(value: object) -> int:
    match value:
        case bytes():
            return len(value)
        case str():
            return len(value.encode())
        case _:
            return 8


async def _last_of_conversation(transaction: Transaction, task_id: str) -> int:
    row = await transaction.fetch_one(
        "SELECT erased_conversation_events AS erased,"
        " (SELECT max(conversation_sequence) FROM events WHERE events.task_id = tasks.task_id"
        "  AND conversation_sequence IS NOT NULL) AS last FROM tasks WHERE task_id = $1",
        task_id,
    )
    return _last(row)


def _last(row: Row | None) -> int:
    """Return the last sequence of a log, parts of which may have been erased."""
    return max(row["erased"], row["last"] or 0) if row else 0
