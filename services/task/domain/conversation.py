"""What is recorded of a conversation: its events as received, and the turns they make up."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task

PAGE_BYTES = 1 << 20
"""A quarter of gRPC's message limit: the turns and the events of a page may each take so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """The user's input has been accepted."""

    origin: int
    user_text: str
    language_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyUpdated:
    """More of the reply's text."""

    delta: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnClosed:
    """The turn is over; `failure`, `ledger` and `latency` are encoded, empty when absent."""

    reply_text: str
    heard_text: str
    is_interrupted: bool = False
    failure: bytes = b""
    ledger: bytes = b""
    latency: bytes = b""
    providers: tuple[ProviderTotals, ...] = ()


TurnChange: TypeAlias = TurnStarted | ReplyUpdated | TurnClosed


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEvent:
    """One event: what it changes in its turn, if anything, and the encoded whole."""

    sequence: int
    time: datetime
    turn_id: int
    change: TurnChange | None
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn as recorded; it is still running while `finish_time` is None."""

    turn_id: int
    origin: int
    user_text: str
    reply_text: str
    heard_text: str
    is_interrupted: bool
    language_code: str
    start_time: datetime
    finish_time: datetime | None
    failure: bytes
    ledger: bytes
    latency: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A page of what was said in a task; `events` are encoded, and empty unless requested."""

    turns: tuple[Turn, ...]
    last_sequence: int
    events: tuple[bytes, ...]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTurn:
    """A turn and the encoded event that closed it, empty while it is running."""

    turn: Turn
    closing: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTurn:
    """A turn that still runs although its task has ended; events follow `last_sequence`."""

    task_id: str
    tenant_id: str
    turn_id: int
    reply_text: str
    end_time: datetime
    last_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One entry in a task's log: the task in a new state, or an encoded conversation event."""

    sequence: int
    time: datetime
    content: Task | bytes


def check_range(after_sequence: int | None, last: int) -> None:
    """Raise ServiceError when a sequence lies beyond the last one."""
    if after_sequence is not None and after_sequence > last:
        raise ServiceError(
            Reason.SEQUENCE_OUT_OF_RANGE,
            f"after_sequence: {after_sequence} lies beyond the last, {last}",
            last_sequence=str(last),
        )
