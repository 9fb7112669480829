"""Two replicas of the task service on one database: each task's steps are taken by one of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.reasons import Reason
from services.task.ports.cloud import AvatarState
from tests.support.task import Call, Hold, ScriptedCloud
from tests.support.task_calls import (
    create,
    create_streaming,
    error_of,
    get,
    serving_tasks,
    stop,
    until,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two replicas."""

    one: TaskServiceStub
    other: TaskServiceStub


@pytest.fixture
async def pair(cloud: ScriptedCloud, journal_url: str) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(serving_tasks(cloud, database=journal_url))
            for _ in range(2)
        ]
        yield Pair(one=one, other=other)


async def silence_replicas(url: str) -> None:
    """Let it seem as if no replica had shown a sign of life for a while."""
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE replicas SET expires_at = now_micros()")
    await connection.close()


async def test_equal_creates_on_two_replicas_order_one_avatar(
    pair: Pair, cloud: ScriptedCloud
) -> None:
    request_id = str(uuid.uuid4())

    made = await asyncio.gather(
        *(
            create(tasks, request_id=request_id)
            for _ in range(25)
            for tasks in (pair.one, pair.other)
        )
    )

    assert len({each.task_id for each in made}) == 1
    assert {each.avatar_id for each in made} == {next(iter(cloud.running))}
    assert len(cloud.orders) == 1


async def test_equal_creates_on_two_replicas_share_a_refusal(
    pair: Pair, cloud: ScriptedCloud
) -> None:
    hold = Hold()
    cloud.scripts[Call.START].extend([hold, Reason.CLOUD_NO_CAPACITY])
    request_id = str(uuid.uuid4())
    first = asyncio.ensure_future(create(pair.one, request_id=request_id))
    await hold.reached.wait()
    repeated = asyncio.ensure_future(create(pair.other, request_id=request_id))

    hold.released.set()

    assert (await repeated).task_id == (await first).task_id
    assert len(cloud.orders) == 1


async def test_a_starting_task_is_stopped_through_the_other_replica(
    pair: Pair, cloud: ScriptedCloud
) -> None:
    cloud.starts_as = AvatarState.STARTING
    task = await create(pair.one)

    stopped = await stop(pair.other, task.task_id)

    assert stopped.state == pb.TASK_STATE_STOPPED
    assert not cloud.running


async def test_a_watcher_sees_what_the_other_replica_does(pair: Pair) -> None:
    task = await create_streaming(pair.one)
    watching = asyncio.ensure_future(until(pair.other, task.task_id, pb.TASK_STATE_STOPPED))

    await stop(pair.one, task.task_id)

    assert (await watching).task_id == task.task_id


async def test_a_replica_that_was_paused_records_nothing_of_its_step(
    pair: Pair, cloud: ScriptedCloud, journal_url: str
) -> None:
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    creating = asyncio.ensure_future(create(pair.one))
    await hold.reached.wait()
    (task,) = (await pair.other.ListTasks(pb.ListTasksRequest())).tasks
    # While the order hangs, the replica loses its lease, and the other one ends the task.
    await silence_replicas(journal_url)
    await pair.other.RefreshTask(pb.RefreshTaskRequest(task_id=task.task_id))
    cloud.scripts[Call.LIST].clear()
    before = await get(pair.other, task.task_id)

    hold.released.set()
    await creating

    assert before.state == pb.TASK_STATE_CREATING
    # What the order led to is found by those who hold the lease now.
    await until(pair.other, task.task_id, pb.TASK_STATE_STOPPED)
    assert not cloud.running


async def test_a_refused_stop_is_carried_out_by_whoever_sweeps(
    pair: Pair, cloud: ScriptedCloud
) -> None:
    task = await create_streaming(pair.one)
    cloud.scripts[Call.STOP].append(Reason.CLOUD_UNREACHABLE)

    await stop(pair.one, task.task_id)

    await until(pair.other, task.task_id, pb.TASK_STATE_STOPPED)
    assert not cloud.running


async def test_the_quota_counts_the_tasks_of_all_replicas(
    cloud: ScriptedCloud, journal_url: str
) -> None:
    async with (
        serving_tasks(cloud, database=journal_url, max_running=3) as one,
        serving_tasks(cloud, database=journal_url, max_running=3) as other,
    ):
        outcomes = await asyncio.gather(
            *(create(tasks, f"s{n}-{i}") for n in range(4) for i, tasks in enumerate((one, other))),
            return_exceptions=True,
        )
        assert sum(isinstance(each, pb.Task) for each in outcomes) == 3
        assert (await error_of(create(one, "more"))).reason is Reason.CAPACITY_EXCEEDED
        assert len(cloud.running) == 3
