"""Whatever happens, and in whatever order, no avatar runs without a live task, and all can end."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import TRANSITIONS, StopReason, Task, TaskState, new_task_id
from services.task.jobs import Jobs
from services.task.lifecycle.heartbeat import kept_alive
from services.task.lifecycle.off_air import KnownAvatars, UnrecordedStops
from services.task.lifecycle.requests import LifeCycle
from services.task.lifecycle.starts import Starts
from services.task.lifecycle.state_machine import TaskStateMachine
from services.task.lifecycle.step import Pace, Steps
from services.task.ports.cloud import Avatar, AvatarState
from services.task.ports.journal import Journal
from services.task.ports.replicas import Replica
from services.task.ports.search import TaskFilter
from services.task.ports.tasks import Quota, Request
from services.task.reconciliation.reconciler import Reconciler
from services.task.sqlite.storage import sqlite_storage
from tests.support.metrics import sample
from tests.support.task import Call, Hold, Lost, ManualClock, ScriptedCloud

STREAMS = ("one", "two", "three")
SETTLE_S = 45.0
FOREIGN = Avatar(
    avatar_id="foreign", state=AvatarState.STREAMING, room_id="theirs", stream_id="one"
)


@dataclass(frozen=True, slots=True)
class Create:
    """A caller creates a task, perhaps with a repeated request id, perhaps disconnecting."""

    stream: int
    request: int | None
    outcome: Reason | Lost | None
    goes_away: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """A caller stops the nth of the tasks."""

    index: int
    outcome: Lost | None


@dataclass(frozen=True, slots=True)
class CrashWhileAsking:
    """The process dies while the cloud is asked for an avatar, which then runs or not."""

    stream: int
    request: int | None
    outcome: Lost


@dataclass(frozen=True, slots=True)
class Crash:
    """The process dies."""


@dataclass(frozen=True, slots=True)
class EndByCloud:
    """The cloud ends the nth avatar."""

    index: int


@dataclass(frozen=True, slots=True)
class Land:
    """The cloud carries out its late orders."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes and the service reconciles its tasks."""

    seconds: float
    list_outcome: Lost | None


streams = st.integers(0, len(STREAMS) - 1)
requests = st.none() | st.integers(0, 2)
lost = st.sampled_from(Lost)
steps = st.lists(
    st.builds(
        Create,
        stream=streams,
        request=requests,
        outcome=st.none() | lost | st.just(Reason.CLOUD_NO_CAPACITY),
        goes_away=st.booleans(),
    )
    | st.builds(Stop, index=st.integers(0, 5), outcome=st.none() | lost)
    | st.builds(CrashWhileAsking, stream=streams, request=requests, outcome=lost)
    | st.just(Crash())
    | st.builds(EndByCloud, index=st.integers(0, 5))
    | st.just(Land())
    | st.builds(
        Wait, seconds=st.sampled_from([0.5, 20.0, 50.0, 130.0]), list_outcome=st.none() | lost
    ),
    max_size=12,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process, without its server."""

    journal: Journal
    lifecycle: LifeCycle
    state_machine: TaskStateMachine
    reconciler: Reconciler


@asynccontextmanager
async def living(path: Path, cloud: ScriptedCloud, clock: ManualClock) -> AsyncIterator[Life]:
    replica = Replica(replica_id=str(uuid.uuid4()), address="")
    async with (
        sqlite_storage(path, clock) as storage,
        kept_alive(storage.journal.replicas, replica),
        Jobs() as jobs,
    ):
        journal = storage.journal
        avatars = KnownAvatars()
        state_machine = TaskStateMachine(
            replica_id=replica.replica_id,
            steps=Steps(
                tasks=journal.tasks,
                conversations=journal.conversations,
                cloud=cloud,
                starts=Starts(cloud, list_s=0.001),
                clock=clock,
                pace=Pace(settle_s=SETTLE_S, poll_s=0.001, slowest_poll_s=0.001),
            ),
            tasks=journal.tasks,
            leases=journal.leases,
            logs=journal.logs,
            notifier=storage.notifier,
            jobs=jobs,
        )
        yield Life(
            journal=journal,
            state_machine=state_machine,
            lifecycle=LifeCycle(
                tasks=journal.tasks,
                state_machine=state_machine,
                jobs=jobs,
                quota=Quota(running=10, running_per_user=10),
                unrecorded=UnrecordedStops(
                    tasks=journal.tasks,
                    cloud=cloud,
                    state_machine=state_machine,
                    avatars=avatars,
                    jobs=jobs,
                ),
                stop_patience_s=5.0,
            ),
            reconciler=Reconciler(
                replica_id=replica.replica_id,
                replicas=journal.replicas,
                leases=journal.leases,
                tasks=journal.tasks,
                search=journal.search,
                conversations=journal.conversations,
                cloud=cloud,
                state_machine=state_machine,
                clock=clock,
                avatars=avatars,
            ),
        )


class World:
    """The cloud, the journal's file, the callers, and each process of the service."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cloud = ScriptedCloud()
        self.clock = ManualClock()
        self.cloud.put(FOREIGN)
        self.told: list[Task] = []

    def new_task(self, stream: int) -> Task:
        now = self.clock()
        return Task(
            task_id=new_task_id(now),
            room_id="room",
            stream_id=STREAMS[stream],
            max_duration=timedelta(minutes=30),
            max_idle_duration=timedelta(minutes=2),
            create_time=now,
        )

    async def live_through(self, steps: Sequence[object]) -> None:
        """Take the steps; each crash ends one process of the service and starts the next."""
        remaining = list(steps)
        while remaining:
            async with living(self.path, self.cloud, self.clock) as life:
                await life.reconciler.reconcile()
                while remaining:
                    step = remaining.pop(0)
                    if isinstance(step, Crash):
                        break
                    if isinstance(step, CrashWhileAsking):
                        await self.crash_while_asking(life, step)
                        break
                    await self.take(life, step)
                    await self.check_rows(life)

    async def take(self, life: Life, step: object) -> None:
        match step:
            case Create():
                await self.create(life, step)
            case Stop(index=index, outcome=outcome) if self.told:
                self.script(Call.STOP, outcome)
                task = self.told[index % len(self.told)]
                await life.lifecycle.stop(task.task_id, StopReason.REQUESTED)
            case EndByCloud(index=index):
                ours = [each for each in self.cloud.running if each != FOREIGN.avatar_id]
                if ours:
                    del self.cloud.running[ours[index % len(ours)]]
            case Land():
                self.cloud.land()
            case Wait(seconds=seconds, list_outcome=outcome):
                self.clock.advance(seconds)
                self.script(Call.LIST, outcome)
                await life.reconciler.reconcile()

    def script(self, call: Call, outcome: Reason | Lost | Hold | None) -> None:
        self.cloud.scripts[call].clear()
        if outcome is not None:
            self.cloud.scripts[call].append(outcome)

    async def create(self, life: Life, step: Create) -> None:
        self.script(Call.START, step.outcome)
        creation = asyncio.create_task(
            life.lifecycle.create(self.new_task(step.stream), self.request(step))
        )
        if step.goes_away:
            await asyncio.sleep(0)
            creation.cancel()
        try:
            task, _ = await creation
        except (ServiceError, asyncio.CancelledError):
            return
        self.told.append(task)

    async def crash_while_asking(self, life: Life, step: CrashWhileAsking) -> None:
        hold = Hold()
        self.script(Call.START, hold)
        task = self.new_task(step.stream)
        creation = asyncio.create_task(life.lifecycle.create(task, self.request(step)))
        reached = asyncio.create_task(hold.reached.wait())
        await asyncio.wait({creation, reached}, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        creation.cancel()
        await asyncio.gather(creation, reached, return_exceptions=True)
        if hold.reached.is_set():
            # What the cloud makes of an order does not depend on who waits for its answer.
            self.script(Call.START, step.outcome)
            await asyncio.gather(self.cloud.start_avatar(task), return_exceptions=True)

    def request(self, step: Create | CrashWhileAsking) -> Request | None:
        if step.request is None:
            return None
        return Request(request_id=f"r{step.request}", digest=bytes([step.stream]))

    async def check_rows(self, life: Life) -> None:
        """Every log is consistent up to its end, and no stream has two live tasks."""
        live = await life.journal.search.live()
        assert len({task.stream_id for task in live}) == len(live)
        for known in await life.journal.search.page(TaskFilter(), before="", size=1000):
            events, is_over = await life.journal.logs.events_after(known.task_id, 0, limit=100)
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            states = [event.content.state for event in events if isinstance(event.content, Task)]
            assert states[0] is TaskState.CREATING
            assert all(after in TRANSITIONS[before] for before, after in pairwise(states))
            assert states[-1].is_final == is_over
            if is_over:
                task = await life.journal.tasks.get(known.task_id)
                assert events[-1].content == task
                assert task.stop_time is not None
                assert task.avatar_id not in self.cloud.running
                assert (task.failure is None) == (task.state is TaskState.STOPPED)

    async def check_the_end(self) -> None:
        """With a responsive cloud and enough time, live tasks and avatars match."""
        for script in self.cloud.scripts.values():
            script.clear()
        async with living(self.path, self.cloud, self.clock) as life:
            await self.settle(life)
            self.cloud.land()
            await self.settle(life)
            live = await life.journal.search.live()
            assert {task.state for task in live} <= {TaskState.STARTING, TaskState.STREAMING}
            assert {task.avatar_id for task in live} == set(self.cloud.running) - {
                FOREIGN.avatar_id
            }
            for task in live:
                stopped, _ = await life.lifecycle.stop(task.task_id, StopReason.REQUESTED)
                assert stopped.state is TaskState.STOPPED
            await self.settle(life)
            assert await life.journal.search.live() == []
            assert list(self.cloud.running.values()) == [FOREIGN]
            await self.check_rows(life)

    async def settle(self, life: Life) -> None:
        await life.reconciler.reconcile()
        self.clock.advance(SETTLE_S + 1)
        await life.reconciler.reconcile()
        for task in await life.journal.search.live():
            await life.lifecycle.refresh(task.task_id)
        await life.reconciler.reconcile()


@settings(max_examples=150)
@given(steps)
def test_nothing_leaks(steps: list[object]) -> None:
    async def live_and_end(path: Path) -> None:
        world = World(path)
        await world.live_through(steps)
        await world.check_the_end()

    with tempfile.TemporaryDirectory() as folder, capture_logs() as entries:
        asyncio.run(live_and_end(Path(folder) / "tasks.sqlite3"))
    assert [entry for entry in entries if entry["log_level"] == "error"] == []


async def test_what_an_avatar_runs_for_nobody_is_counted_once(tmp_path: Path) -> None:
    world = World(tmp_path / "tasks.sqlite3")
    async with living(world.path, world.cloud, world.clock) as life:
        await world.create(life, Create(stream=1, request=None, outcome=None, goes_away=False))
        [task] = world.told
        await life.reconciler.reconcile()
        avatar = world.cloud.running[(await life.journal.tasks.get(task.task_id)).avatar_id]
        before = leaked_s()
        await life.lifecycle.stop(task.task_id, StopReason.REQUESTED)
        world.cloud.put(avatar)
        world.script(Call.STOP, Lost.UNDONE)
        world.clock.advance(30)
        await life.reconciler.reconcile()
        assert leaked_s() - before == pytest.approx(30, abs=0.1)
        # It was found, but its stop was lost.
        world.clock.advance(20)
        await life.reconciler.reconcile()
        assert leaked_s() - before == pytest.approx(50, abs=0.1)
        assert avatar.avatar_id not in world.cloud.running
        world.clock.advance(20)
        await life.reconciler.reconcile()
        assert leaked_s() - before == pytest.approx(50, abs=0.1)


@pytest.mark.parametrize("is_dated", [True, False])
async def test_an_avatar_of_no_task_runs_for_nobody_since_it_was_ordered(
    tmp_path: Path, is_dated: bool
) -> None:
    world = World(tmp_path / "tasks.sqlite3")
    async with living(world.path, world.cloud, world.clock) as life:
        await world.create(
            life, Create(stream=1, request=None, outcome=Reason.CLOUD_NO_CAPACITY, goes_away=False)
        )
        await life.reconciler.reconcile()
        before = leaked_s()
        world.cloud.put(
            Avatar(
                avatar_id="late",
                state=AvatarState.STREAMING,
                room_id="room",
                stream_id=STREAMS[1],
                create_time=world.clock() if is_dated else None,
            )
        )
        world.clock.advance(12)
        await life.reconciler.reconcile()
        assert leaked_s() - before == pytest.approx(12, abs=0.1)


async def test_one_replica_tells_how_many_tasks_are_live(tmp_path: Path) -> None:
    world = World(tmp_path / "tasks.sqlite3")
    async with living(world.path, world.cloud, world.clock) as life:
        other = Reconciler(
            replica_id="other",
            replicas=life.journal.replicas,
            leases=life.journal.leases,
            tasks=life.journal.tasks,
            search=life.journal.search,
            conversations=life.journal.conversations,
            cloud=world.cloud,
            state_machine=life.state_machine,
            clock=world.clock,
            avatars=KnownAvatars(),
        )
        await life.reconciler.reconcile()
        assert told_live() == 0
        # Its metrics would show for ever what was true when it last listed the cloud.
        await other.reconcile()
        assert told_live() is None
        await life.reconciler.reconcile()
        assert told_live() == 0


def told_live() -> float | None:
    return sample("parley_tasks", state="STREAMING")


def leaked_s() -> float:
    return sample("parley_task_leaked_seconds_total") or 0
