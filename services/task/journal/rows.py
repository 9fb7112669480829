"""Tasks and turns as rows of the database, and back."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias

from services.runtime.callers.caller import DEFAULT_TENANT
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import TaskEvent, Turn
from services.task.domain.tasks import Failure, StopReason, Task, TaskState

SqlValue: TypeAlias = str | int | bytes | None


class Row(Protocol):
    """One row of a query's result."""

    def __getitem__(self, column: str, /) -> Any:
        """Return the value of a column."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the values of all columns."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

TASK_COLUMNS = (
    "task_id",
    "state",
    "room_id",
    "stream_id",
    "digital_human_id",
    "persona_id",
    "language_code",
    "user_id",
    "background_color",
    "avatar_id",
    "max_duration",
    "max_idle_duration",
    "create_time",
    "accept_time",
    "start_time",
    "stop_time",
    "stop_reason",
    "failure_reason",
    "failure_message",
    "claim_by",
    "budget",
    "max_absence",
    "seen_time",
    "tenant_id",
)


_NO_COLUMNS = dict.fromkeys(TASK_COLUMNS)


def places(values: Iterable[object], *, first: int = 1) -> str:
    """Return a placeholder for each value, numbered from `first`."""
    return ", ".join(f"${number}" for number, _ in enumerate(values, start=first))


def to_micros(time: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (time - _EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time that is a number of microseconds after 1970."""
    return _EPOCH + micros * MICROSECOND


def task_to_row(task: Task) -> dict[str, SqlValue]:
    """Return the columns of a task, in the order of TASK_COLUMNS."""
    return {
        "task_id": task.task_id,
        "state": task.state.value,
        "room_id": task.room_id,
        "stream_id": task.stream_id,
        "digital_human_id": task.digital_human_id,
        "persona_id": task.persona_id,
        "language_code": task.language_code,
        "user_id": task.user_id,
        "background_color": task.background_color,
        "avatar_id": task.avatar_id,
        "max_duration": task.max_duration // MICROSECOND,
        "max_idle_duration": task.max_idle_duration // MICROSECOND,
        "create_time": to_micros(task.create_time),
        "accept_time": _optional_micros(task.accept_time),
        "start_time": _optional_micros(task.start_time),
        "stop_time": _optional_micros(task.stop_time),
        "stop_reason": task.stop_reason.value if task.stop_reason else None,
        "failure_reason": task.failure.reason.value if task.failure else None,
        "failure_message": task.failure.message if task.failure else None,
        "claim_by": _optional_micros(task.claim_by),
        "budget": _optional_duration_micros(task.budget),
        "max_absence": _optional_duration_micros(task.max_absence),
        "seen_time": _optional_micros(task.seen_time),
        "tenant_id": task.tenant_id,
    }


def task_from_row(row: Row) -> Task:
    """Return the task of a row."""
    failure_reason = row["failure_reason"]
    return Task(
        task_id=row["task_id"],
        tenant_id=row["tenant_id"] or DEFAULT_TENANT,
        state=TaskState(row["state"]),
        room_id=row["room_id"],
        stream_id=row["stream_id"],
        digital_human_id=row["digital_human_id"],
        persona_id=row["persona_id"],
        language_code=row["language_code"],
        user_id=row["user_id"],
        background_color=row["background_color"],
        avatar_id=row["avatar_id"],
        max_duration=row["max_duration"] * MICROSECOND,
        max_idle_duration=row["max_idle_duration"] * MICROSECOND,
        max_absence=_optional_duration(row["max_absence"]),
        budget=_optional_duration(row["budget"]),
        create_time=from_micros(row["create_time"]),
        seen_time=_optional_time(row["seen_time"]),
        claim_by=_optional_time(row["claim_by"]),
        accept_time=_optional_time(row["accept_time"]),
        start_time=_optional_time(row["start_time"]),
        stop_time=_optional_time(row["stop_time"]),
        stop_reason=StopReason(row["stop_reason"]) if row["stop_reason"] else None,
        failure=Failure(reason=Reason(failure_reason), message=row["failure_message"])
        if failure_reason
        else None,
    )


def task_to_content(task: Task) -> bytes:
    """Return a task as the content of an event."""
    return json.dumps(task_to_row(task), separators=(",", ":")).encode()


def event_from_row(row: Row) -> TaskEvent:
    """Return the event of a row."""
    content: bytes = row["content"]
    is_state = row["conversation_sequence"] is None
    return TaskEvent(
        sequence=row["sequence"],
        time=from_micros(row["time"]),
        # An older version, with fewer columns, may have written it.
        content=task_from_row(_NO_COLUMNS | json.loads(content)) if is_state else content,
    )


def turn_from_row(row: Row) -> Turn:
    """Return the turn of a row."""
    return Turn(
        turn_id=row["turn_id"],
        origin=row["origin"],
        user_text=row["user_text"],
        reply_text=row["reply_text"],
        heard_text=row["heard_text"],
        is_interrupted=bool(row["is_interrupted"]),
        language_code=row["language_code"],
        start_time=from_micros(row["start_time"]),
        finish_time=_optional_time(row["finish_time"]),
        failure=row["failure"],
        ledger=row["ledger"],
        latency=row["latency"],
    )


def _optional_duration_micros(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // MICROSECOND


def _optional_duration(micros: int | None) -> timedelta | None:
    return None if micros is None else micros * MICROSECOND


def _optional_micros(time: datetime | None) -> int | None:
    return None if time is None else to_micros(time)


def _optional_time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
