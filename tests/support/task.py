"""The task service within a test's process, and a scripted cloud."""

import asyncio
import tempfile
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from services.runtime.channels.replicas import replicas
from services.runtime.clock import SteadyClock
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.app import running
from services.task.cloud import AvatarCloud
from services.task.domain.tasks import Task
from services.task.ports.cloud import Avatar, AvatarState, Cloud
from services.task.settings import TaskSettings
from services.task.storage import OpenStorage, storage_of


class Call(StrEnum):
    """What the cloud can be asked."""

    START = "start"
    STOP = "stop"
    GET = "get"
    LIST = "list"


class Lost(StrEnum):
    """How an answer is lost: the cloud did nothing, did it, or will do it when it `lands`."""

    UNDONE = "undone"
    DONE = "done"
    LATE = "late"


class Hold:
    """Holds one call: `reached` is set when it arrives, and it continues once `released` is set."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def pass_through(self) -> None:
        """Wait for the release."""
        self.reached.set()
        await self.released.wait()


class ScriptedCloud:
    """A cloud in memory that outlives the service; the script of a call is used up one by one.

    A script's step is a Reason to refuse with, a Lost answer, or a Hold after which the call
    succeeds; without a step it just succeeds. Avatars come on air at once unless `starts_as` says
    otherwise.
    """

    def __init__(self) -> None:
        self.running: dict[str, Avatar] = {}
        self.orders: list[Task] = []
        self.stops: list[str] = []
        self.calls: Counter[Call] = Counter()
        self.starts_as = AvatarState.STREAMING
        self.scripts: defaultdict[Call, deque[Reason | Lost | Hold]] = defaultdict(deque)
        self._late: list[Task] = []

    async def start_avatar(self, task: Task) -> Avatar:
        """Run an avatar for a task."""
        self.orders.append(task)
        lost = await self._next(Call.START)
        if lost is Lost.LATE:
            self._late.append(task)
        if lost in (Lost.UNDONE, Lost.LATE):
            raise _silence()
        if any(avatar.stream_id == task.stream_id for avatar in self.running.values()):
            raise ServiceError(Reason.STREAM_IN_USE, "stream_id: in use")
        avatar = self._run(task)
        if lost is Lost.DONE:
            raise _silence()
        return avatar

    async def stop_avatar(self, avatar_id: str) -> None:
        """Stop an avatar."""
        self.stops.append(avatar_id)
        lost = await self._next(Call.STOP)
        if lost in (None, Lost.DONE):
            self.running.pop(avatar_id, None)
        if lost is not None:
            raise _silence()

    async def get_avatar(self, avatar_id: str) -> Avatar | None:
        """Return a running avatar."""
        if await self._next(Call.GET) is not None:
            raise _silence()
        return self.running.get(avatar_id)

    async def list_avatars(self) -> Sequence[Avatar]:
        """Return the running avatars."""
        if await self._next(Call.LIST) is not None:
            raise _silence()
        return list(self.running.values())

    def put(self, avatar: Avatar) -> None:
        """Run an avatar that is not ours, or give one another state."""
        self.running[avatar.avatar_id] = avatar

    def move(self, avatar_id: str, state: AvatarState) -> None:
        """Give a running avatar another state."""
        self.put(replace(self.running[avatar_id], state=state))

    def land(self) -> None:
        """Carry out the orders that were late, unless their stream is taken."""
        for task in self._late:
            if all(avatar.stream_id != task.stream_id for avatar in self.running.values()):
                self._run(task)
        self._late.clear()

    def _run(self, task: Task) -> Avatar:
        avatar = Avatar(
            avatar_id=f"avatar-{len(self.orders)}-{task.task_id}",
            state=self.starts_as,
            room_id=task.room_id,
            stream_id=task.stream_id,
            digital_human_id=task.digital_human_id or "default-human",
        )
        self.put(avatar)
        return avatar

    async def _next(self, call: Call) -> Lost | None:
        self.calls[call] += 1
        step = self.scripts[call].popleft() if self.scripts[call] else None
        match step:
            case Reason():
                raise ServiceError(step, f"scripted: {step}")
            case Hold():
                await step.pass_through()
                return None
            case _:
                return step


class ManualClock:
    """A clock that advances by a microsecond whenever it is read, and further on request."""

    def __init__(self) -> None:
        self._now = 0.0
        self._set_to = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

    def __call__(self) -> datetime:
        """Return the time."""
        self._now += 1e-6
        return datetime.fromtimestamp(self.wall(), UTC)

    def wall(self) -> float:
        """Return the time of day."""
        return self._set_to + self._now

    def steady(self) -> float:
        """Return the time since the machine booted."""
        self._now += 1e-6
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def set(self, seconds: float) -> None:
        """Set the time of day forward or back without letting time pass."""
        self._set_to += seconds


@asynccontextmanager
async def task_service(
    cloud: Cloud | None = None,
    *,
    avatar_target: str | None = None,
    database: Path | str | None = None,
    clock: ManualClock | None = None,
    open_storage: OpenStorage = storage_of,
    **settings: Any,
) -> AsyncIterator[str]:
    """Serve tasks on a free port; yields the address.

    The avatars are those of `cloud`, or of the avatar service at `avatar_target`, or of a scripted
    cloud that always succeeds. Without `database` the journal goes with the block. `settings` are
    fields of TaskSettings.
    """
    async with AsyncExitStack() as stack:
        if database is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            database = Path(folder) / "tasks.sqlite3"
        if avatar_target is not None:
            avatars = await stack.enter_async_context(replicas(avatar_target, AvatarServiceStub))
            cloud = AvatarCloud(avatars, settings.get("service_token"))
        chosen = TaskSettings(
            **{"port": 0, "poll_s": 0.01, "sweep_interval_s": 0.05, **settings},
            database=str(database),
        )
        steady = SteadyClock(wall=clock.wall, steady=clock.steady) if clock else SteadyClock()
        serving = await stack.enter_async_context(
            running(chosen, cloud or ScriptedCloud(), steady=steady, open_storage=open_storage)
        )
        yield serving.address


def _silence() -> ServiceError:
    return ServiceError(Reason.DEADLINE_EXCEEDED, "The answer took too long.")
