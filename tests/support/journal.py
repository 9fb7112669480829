"""Values to put into a journal, and the steps of a task's life."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from services.runtime.callers.caller import current_caller
from services.task.domain.conversation import ConversationEvent, TurnChange
from services.task.domain.tasks import StopReason, Task, accepted, on_air, stopped, stopping
from services.task.ports.clients import Client
from services.task.ports.journal import Journal
from services.task.ports.storage import Storage
from services.task.ports.tasks import Quota, Request

OpenStorage: TypeAlias = Callable[[], AbstractAsyncContextManager[Storage]]

ExpireLeases: TypeAlias = Callable[[], Awaitable[None]]
"""Has all replicas count as silent."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""When a ManualClock begins."""
UNLIMITED = Quota(running=1000, running_per_user=1000)
GRACE = timedelta(seconds=30)


def task(number: int, **fields: Any) -> Task:
    """Return a new task; higher numbers sort later, and each has its own stream."""
    values: dict[str, Any] = {
        "task_id": f"task_{number:026}",
        "room_id": "room",
        "stream_id": f"stream-{number}",
        "max_duration": timedelta(minutes=30),
        "max_idle_duration": timedelta(minutes=2),
        "create_time": NOW + timedelta(seconds=number),
    }
    return Task(**{**values, **fields})


def request(name: str, content: str = "content") -> Request:
    """Return a repeatable call."""
    return Request(request_id=name, digest=content.encode())


def client(task_id: str) -> Client:
    """Return who calls now, as a task's client."""
    return Client(task_id=task_id, caller=current_caller())


def event(
    sequence: int,
    turn_id: int = 0,
    change: TurnChange | None = None,
    *,
    time: datetime = NOW,
    payload: bytes | None = None,
) -> ConversationEvent:
    """Return a conversation event with a payload of its own."""
    return ConversationEvent(
        sequence=sequence,
        time=time,
        turn_id=turn_id,
        change=change,
        payload=payload or f"payload {sequence}".encode(),
    )


async def add(journal: Journal, number: int, **fields: Any) -> Task:
    """Add a task without a request id or a limit."""
    return await journal.tasks.add(task(number, **fields), None, UNLIMITED)


async def put_on_air(journal: Journal, task_id: str) -> Task:
    """Move a new task to STREAMING."""
    accept = partial(accepted, avatar_id=f"avatar of {task_id}", digital_human_id="mia", at=NOW)
    await journal.tasks.change(task_id, accept)
    _, after = await journal.tasks.change(task_id, partial(on_air, at=NOW))
    return after


async def end(journal: Journal, task_id: str, *, at: datetime = NOW) -> Task:
    """Move a task to STOPPED."""
    await journal.tasks.change(task_id, partial(stopping, reason=StopReason.REQUESTED))
    _, after = await journal.tasks.change(task_id, partial(stopped, at=at))
    return after
