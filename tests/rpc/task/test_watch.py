"""WatchTask: a snapshot, then every event once and in order, however often it is called."""

import asyncio
import random
from contextlib import AsyncExitStack

import grpc
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.reasons import Reason
from tests.support.task import ScriptedCloud, task_service
from tests.support.task_calls import (
    append,
    create_streaming,
    error_of,
    event,
    stop,
    watching,
)


def sequences(updates: list[pb.WatchTaskResponse]) -> list[int]:
    return [each.event.sequence for each in updates if each.HasField("event")]


async def whole_watch(
    tasks: TaskServiceStub, task_id: str, after: int | None = 0
) -> list[pb.WatchTaskResponse]:
    async with watching(tasks, task_id, after) as updates:
        return [update async for update in updates]


async def test_a_life_is_told_from_its_beginning_to_its_end(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    await append(tasks, task.task_id, event(1), event(2))
    await stop(tasks, task.task_id)
    updates = await whole_watch(tasks, task.task_id)
    snapshot, *rest = updates
    assert snapshot.snapshot.task.state == pb.TASK_STATE_STOPPED
    assert snapshot.snapshot.last_sequence == 7
    assert sequences(updates) == [1, 2, 3, 4, 5, 6, 7]
    told = [
        each.event.state_changed.task.state or each.event.conversation_event.sequence
        for each in rest
    ]
    assert told == [
        pb.TASK_STATE_CREATING,
        pb.TASK_STATE_STARTING,
        pb.TASK_STATE_STREAMING,
        1,
        2,
        pb.TASK_STATE_STOPPING,
        pb.TASK_STATE_STOPPED,
    ]
    assert all(each.event.HasField("event_time") for each in rest)


async def test_without_a_sequence_only_news_are_told(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    async with watching(tasks, task.task_id, after=None) as updates:
        snapshot = await anext(updates)
        assert snapshot.snapshot.last_sequence == 3
        await append(tasks, task.task_id, event(1))
        assert (await anext(updates)).event.sequence == 4
        await stop(tasks, task.task_id)
        assert [each.event.sequence async for each in updates] == [5, 6]


@pytest.mark.parametrize("after", [None, 5])
async def test_an_ended_task_has_no_news(tasks: TaskServiceStub, after: int | None) -> None:
    task = await create_streaming(tasks)
    await stop(tasks, task.task_id)
    [snapshot] = await whole_watch(tasks, task.task_id, after)
    assert snapshot.snapshot.task.state == pb.TASK_STATE_STOPPED


async def test_a_sequence_beyond_the_last_is_refused(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    error = await error_of(whole_watch(tasks, task.task_id, after=4))
    assert error.reason is Reason.SEQUENCE_OUT_OF_RANGE
    assert error.metadata == {"last_sequence": "3"}


async def test_a_watcher_who_drops_and_returns_misses_nothing_and_hears_nothing_twice(
    tasks: TaskServiceStub,
) -> None:
    task = await create_streaming(tasks)
    chance = random.Random(7)

    async def talk() -> None:
        for first in range(1, 400, 4):
            await append(tasks, task.task_id, *(event(first + step) for step in range(4)))
        await stop(tasks, task.task_id)

    async def follow() -> list[int]:
        heard: list[int] = []
        while True:
            patience = chance.randrange(1, 40)
            async with watching(tasks, task.task_id, after=heard[-1] if heard else 0) as updates:
                await anext(updates)
                async for update in updates:
                    heard.append(update.event.sequence)
                    if update.event.state_changed.task.state == pb.TASK_STATE_STOPPED:
                        return heard
                    patience -= 1
                    if not patience:
                        break

    _, *heard = await asyncio.gather(talk(), follow(), follow(), follow())
    assert heard == [list(range(1, 406))] * 3


async def test_a_watcher_who_does_not_read_holds_up_nobody(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    async with watching(tasks, task.task_id) as slow:
        await anext(slow)
        for first in range(1, 3001, 500):
            await append(tasks, task.task_id, *(event(first + step) for step in range(500)))
        await stop(tasks, task.task_id)
        assert len(await whole_watch(tasks, task.task_id)) == 3006
        assert [each.event.sequence async for each in slow] == list(range(1, 3006))


async def test_a_service_that_shuts_down_sends_its_watchers_away(cloud: ScriptedCloud) -> None:
    async with AsyncExitStack() as service:
        address = await service.enter_async_context(task_service(cloud))
        async with grpc.aio.insecure_channel(address) as channel:
            tasks = TaskServiceStub(channel)
            task = await create_streaming(tasks)
            call = tasks.WatchTask(pb.WatchTaskRequest(task_id=task.task_id, after_sequence=3))
            assert await call.read()
            await service.aclose()
            assert (await error_of(call.read())).reason is Reason.DRAINING


async def test_watchers_who_left_are_forgotten(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    for _ in range(20):
        async with watching(tasks, task.task_id) as updates:
            await anext(updates)
    await append(tasks, task.task_id, event(1))
    with pytest.raises(grpc.aio.AioRpcError):
        await tasks.WatchTask(pb.WatchTaskRequest(task_id="task_gone")).read()
