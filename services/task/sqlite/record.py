"""The record, within one transaction: a task's numbered events and the turns they make up."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.task.conversation import (
    PAGE_BYTES,
    Conversation,
    ConversationEvent,
    RecordedTurn,
    ReplyUpdated,
    TurnClosed,
    TurnStarted,
    check_range,
)
from services.task.sqlite.database import SqlValue, Transaction
from services.task.sqlite.rows import Row, from_micros, to_micros, turn_from_row
from services.task.tasks import Task


def last_sequence(transaction: Transaction, task_id: str) -> int:
    """Return the sequence of a task's last event, 0 before the first."""
    row = transaction.execute(
        "SELECT coalesce(max(sequence), 0) FROM events WHERE task_id = ?", (task_id,)
    ).fetchone()
    sequence: int = row[0]
    return sequence


def note(
    transaction: Transaction,
    task_id: str,
    content: bytes,
    *,
    now: datetime,
    conversation_sequence: int | None = None,
) -> None:
    """Add the next event to a task's log."""
    sequence = last_sequence(transaction, task_id) + 1
    transaction.execute(
        "INSERT INTO events (task_id, sequence, time, conversation_sequence, content)"
        " VALUES (?, ?, ?, ?, ?)",
        (task_id, sequence, to_micros(now), conversation_sequence, content),
    )
    transaction.announce(task_id)


def append(
    transaction: Transaction,
    task: Task,
    events: Sequence[ConversationEvent],
    *,
    now: datetime,
    takes_closing: bool,
) -> int:
    """Append events to a conversation, skipping those it has; return its last sequence.

    `takes_closing` says whether a task that is over still takes the rest of turns that were running
    and what happened before its end.
    """
    last = _last_of_conversation(transaction, task.task_id)
    for event in events:
        if event.sequence <= last:
            continue
        if event.sequence != last + 1:
            raise ServiceError(
                Reason.EVENTS_OUT_OF_ORDER,
                f"events: sequence {event.sequence} does not follow {last}",
                last_sequence=str(last),
            )
        if task.state.is_final and not (takes_closing and _is_due(transaction, task, event)):
            raise ServiceError(
                Reason.TASK_ENDED, "task_id: the task has ended", task_id=task.task_id
            )
        last = event.sequence
        note(transaction, task.task_id, event.payload, now=now, conversation_sequence=last)
        if event.turn_id:
            _change_turn(transaction, task.task_id, event)
    return last


def conversation(
    transaction: Transaction, task_id: str, *, after_turn_id: int, after_sequence: int | None
) -> Conversation:
    """Return a page of what was said in a task. Raises ServiceError with SEQUENCE_OUT_OF_RANGE."""
    last = _last_of_conversation(transaction, task_id)
    check_range(after_sequence, last)
    turns = transaction.execute(
        "SELECT * FROM turns WHERE task_id = ? AND turn_id > ? ORDER BY turn_id",
        (task_id, after_turn_id),
    )
    events = transaction.execute(
        "SELECT content FROM events WHERE task_id = ? AND conversation_sequence > ?"
        " ORDER BY conversation_sequence",
        (task_id, last if after_sequence is None else after_sequence),
    )
    page_of_turns, has_more_turns = _page(turns)
    page_of_events, has_more_events = _page(events)
    return Conversation(
        turns=tuple(turn_from_row(row) for row in page_of_turns),
        last_sequence=last,
        events=tuple(row["content"] for row in page_of_events),
        has_more=has_more_turns or has_more_events,
    )


def turn(transaction: Transaction, task_id: str, turn_id: int) -> RecordedTurn:
    """Return a turn of a task. Raises ServiceError with TURN_NOT_FOUND."""
    row = transaction.execute(
        "SELECT turns.*, content AS closing FROM turns LEFT JOIN events"
        " ON events.task_id = turns.task_id AND conversation_sequence = closed_by"
        " WHERE turns.task_id = ? AND turn_id = ?",
        (task_id, turn_id),
    ).fetchone()
    if row is None:
        raise ServiceError(
            Reason.TURN_NOT_FOUND,
            f"turn_id: the task has no turn {turn_id}",
            task_id=task_id,
            turn_id=str(turn_id),
        )
    return RecordedTurn(turn=turn_from_row(row), closing=row["closing"] or b"")


def last_turn_time(transaction: Transaction, task_id: str) -> datetime | None:
    """Return when the last turn of a task's conversation ended, or began if it still runs."""
    row = transaction.execute(
        "SELECT max(coalesce(finish_time, start_time)) FROM turns WHERE task_id = ?", (task_id,)
    ).fetchone()
    return None if row[0] is None else from_micros(row[0])


def _page(rows: Iterable[Row]) -> tuple[list[Row], bool]:
    """Return the rows that fit on a page, at least one, and whether more follow."""
    page: list[Row] = []
    size = 0
    for row in rows:
        size += sum(_bytes(value) for value in tuple(row))
        if page and size > PAGE_BYTES:
            return page, True
        page.append(row)
    return page, False


def _bytes(value: SqlValue) -> int:
    match value:
        case bytes():
            return len(value)
        case str():
            return len(value.encode())
        case _:
            return 8


def _last_of_conversation(transaction: Transaction, task_id: str) -> int:
    row = transaction.execute(
        "SELECT coalesce(max(conversation_sequence), 0) FROM events"
        " WHERE task_id = ? AND conversation_sequence IS NOT NULL",
        (task_id,),
    ).fetchone()
    sequence: int = row[0]
    return sequence


def _is_due(transaction: Transaction, task: Task, event: ConversationEvent) -> bool:
    """Whether an event predates the end of its task or belongs to a turn that the end cut off."""
    if task.stop_time is not None and event.time <= task.stop_time:
        return True
    sql = "SELECT 1 FROM turns WHERE task_id = ? AND turn_id = ? AND finish_time IS NULL"
    return transaction.execute(sql, (task.task_id, event.turn_id)).fetchone() is not None


def _change_turn(transaction: Transaction, task_id: str, event: ConversationEvent) -> None:
    time = to_micros(event.time)
    values: dict[str, SqlValue]
    match event.change:
        case TurnStarted(origin=origin, user_text=user_text, language_code=language_code):
            values = {"origin": origin, "user_text": user_text, "language_code": language_code}
            changes = "origin = :origin, user_text = :user_text, language_code = :language_code"
        case ReplyUpdated(delta=delta):
            values = {"delta": delta}
            changes = "reply_text = reply_text || :delta"
        case TurnClosed() as closed:
            values = {**asdict(closed), "time": time, "sequence": event.sequence}
            changes = (
                "reply_text = :reply_text, heard_text = :heard_text, failure = :failure,"
                " is_interrupted = :is_interrupted, ledger = :ledger, latency = :latency,"
                " finish_time = :time, closed_by = :sequence"
            )
        case None:
            return
    key: dict[str, SqlValue] = {"task_id": task_id, "turn_id": event.turn_id}
    transaction.execute(
        "INSERT OR IGNORE INTO turns (task_id, turn_id, start_time)"
        " VALUES (:task_id, :turn_id, :time)",
        {**key, "time": time},
    )
    transaction.execute(
        f"UPDATE turns SET {changes} WHERE task_id = :task_id AND turn_id = :turn_id",
        {**key, **values},
    )
