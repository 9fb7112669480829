"""How events change the rows of turns."""

from dataclasses import dataclass
from typing import assert_never

from services.task.domain.conversation import (
    ConversationEvent,
    ReplyUpdated,
    TurnClosed,
    TurnStarted,
)
from services.task.journal.rows import SqlValue, places, to_micros

_KEY = ("task_id", "turn_id", "start_time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement with its parameters."""

    sql: str
    parameters: tuple[SqlValue, ...]


def turn_change(task_id: str, event: ConversationEvent) -> Statement | None:
    """Return the statement that brings a turn up to an event; None if that changes no turn."""
    if not event.turn_id or event.change is None:
        return None
    time = to_micros(event.time)
    key = (task_id, event.turn_id, time)
    match event.change:
        case TurnStarted(origin=origin, user_text=user_text, language_code=language_code):
            return Statement(sql=_START, parameters=(*key, origin, user_text, language_code))
        case ReplyUpdated(delta=delta):
            return Statement(sql=_CONTINUE, parameters=(*key, delta))
        case TurnClosed() as closed:
            outcome = (
                closed.reply_text,
                closed.heard_text,
                closed.is_interrupted,
                closed.failure,
                closed.ledger,
                closed.latency,
            )
            return Statement(sql=_CLOSE, parameters=(*key, *outcome, time, event.sequence))
        case unknown:
            assert_never(unknown)


def _upsert(*columns: str, changes: str = "") -> str:
    """Return the statement that sets columns of a turn, which it makes if there is none."""
    all_columns = (*_KEY, *columns)
    set_ = changes or ", ".join(f"{column} = excluded.{column}" for column in columns)
    return (
        f"INSERT INTO turns ({', '.join(all_columns)}) VALUES ({places(all_columns)})"
        f" ON CONFLICT (task_id, turn_id) DO UPDATE SET {set_}"
    )


_START = _upsert("origin", "user_text", "language_code")
_CONTINUE = _upsert("reply_text", changes="reply_text = turns.reply_text || excluded.reply_text")
_CLOSE = _upsert(
    "reply_text",
    "heard_text",
    "is_interrupted",
    "failure",
    "ledger",
    "latency",
    "finish_time",
    "closed_by",
)
