"""Processes that crash: what was on air is found again, and what cannot be reached is said."""

import asyncio
import secrets
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest
import pytest_asyncio

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from engine.tasks.task import TaskStatus
from services.runtime.callers.requests import Metadata
from services.runtime.failures.errors import from_rpc_error
from services.runtime.failures.reasons import Reason
from tests.support.stack import Stack, running_stack

# Tasks need neither speech nor the gateway.
PROCESSES = ("engine", "avatar", "task")

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    """Processes of these tests' own; whoever kills one starts it again."""
    sweeps = {"task": {"TASK_SWEEP_INTERVAL_S": "2"}}
    async with running_stack(processes=PROCESSES, env=sweeps) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def tasks(stack: Stack) -> AsyncIterator["Client"]:
    async with client_of(stack) as client:
        yield client


class Client:
    """The calls of this file, with the token."""

    def __init__(self, channel: grpc.aio.Channel, token: Metadata) -> None:
        self._stub = rpc.TaskServiceStub(channel)
        self._token = token

    async def create(self) -> pb.Task:
        name = secrets.token_hex(8)
        request = pb.CreateTaskRequest(
            # Without it nobody may repeat the call, and the channel does.
            request_id=str(uuid.uuid4()),
            room_id=f"room-{name}",
            stream_id=f"stream-{name}",
        )
        answer = await self._stub.CreateTask(request, metadata=self._token)
        return answer.task

    async def get(self, task_id: str) -> pb.Task:
        request = pb.GetTaskRequest(task_id=task_id)
        answer = await self._stub.GetTask(request, metadata=self._token)
        return answer.task

    async def stop(self, task_id: str) -> pb.Task:
        request = pb.StopTaskRequest(task_id=task_id)
        answer = await self._stub.StopTask(request, metadata=self._token)
        return answer.task

    async def until(self, task_id: str, states: Iterable[int]) -> pb.Task:
        """Return the task when it is in one of the states."""
        request = pb.WatchTaskRequest(task_id=task_id)
        watch = self._stub.WatchTask(request, metadata=self._token)
        async with aclosing(_tasks_of(watch)) as seen:
            async for task in seen:
                if task.state in states:
                    return task
        raise AssertionError(f"{task_id} ended otherwise")


async def _tasks_of(watch: Any) -> AsyncGenerator[pb.Task, None]:
    try:
        async for update in watch:
            if update.HasField("snapshot"):
                yield update.snapshot.task
            elif update.event.HasField("state_changed"):
                yield update.event.state_changed.task
    finally:
        watch.cancel()


@asynccontextmanager
async def client_of(stack: Stack) -> AsyncIterator[Client]:
    token = (("authorization", f"Bearer {stack.service_token}"),)
    async with stack.channel("task") as channel:
        yield Client(channel, token)


async def played(stack: Stack, stream_id: str) -> dict[str, Any]:
    """What the engine knows of a stream."""
    async with stack.engine_client() as engine:
        found = await engine.get("/recordings", params={"stream_id": stream_id})
        return dict(found.raise_for_status().json())


async def test_tasks_outlive_the_service_that_keeps_them(stack: Stack, tasks: Client) -> None:
    """One that is on air, and one that is about to be."""
    on_air = await tasks.create()
    await tasks.until(on_air.task_id, [pb.TASK_STATE_STREAMING])
    starting = await tasks.create()
    await stack.kill("task")
    await stack.restart("task")
    assert (await tasks.get(on_air.task_id)).state == pb.TASK_STATE_STREAMING
    streaming = await tasks.until(starting.task_id, [pb.TASK_STATE_STREAMING])
    assert streaming.stream_id == starting.stream_id
    for created in (on_air, starting):
        assert (await tasks.stop(created.task_id)).state == pb.TASK_STATE_STOPPED


async def test_a_restarted_avatar_service_knows_its_avatars(stack: Stack, tasks: Client) -> None:
    created = await tasks.create()
    await tasks.until(created.task_id, [pb.TASK_STATE_STREAMING])
    await stack.kill("avatar")
    await stack.restart("avatar")
    assert (await tasks.stop(created.task_id)).state == pb.TASK_STATE_STOPPED
    assert (await played(stack, created.stream_id))["status"] == TaskStatus.STOPPED


async def test_an_engine_that_is_away_cannot_be_reached_and_ends_what_it_showed(
    stack: Stack, tasks: Client
) -> None:
    """Killed, and stopped in good order."""
    await stack.kill("engine")
    async with asyncio.timeout(60):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await tasks.create()
    assert from_rpc_error(caught.value).reason is Reason.CLOUD_UNREACHABLE
    await stack.restart("engine")
    shown = await tasks.create()
    await tasks.until(shown.task_id, [pb.TASK_STATE_STREAMING])
    assert await stack.stop("engine") == 0
    await stack.restart("engine")
    ended = await tasks.until(shown.task_id, [pb.TASK_STATE_STOPPED])
    assert ended.stop_reason == pb.STOP_REASON_CLOUD
    created = await tasks.create()
    await tasks.until(created.task_id, [pb.TASK_STATE_STREAMING])
    await tasks.stop(created.task_id)


async def test_a_rolling_restart_fails_nobody(stack: Stack, tasks: Client) -> None:
    """With one replica of each, calls wait while it is away."""
    is_over = asyncio.Event()
    rounds = [0, 0, 0]

    async def call(caller: int) -> None:
        while not is_over.is_set():
            created = await tasks.create()
            await tasks.get(created.task_id)
            await tasks.stop(created.task_id)
            rounds[caller] += 1

    async def go_on() -> None:
        """Return when each has been through a round that it began after this."""
        goals = [done + 2 for done in rounds]
        while any(done < goal for done, goal in zip(rounds, goals, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        for caller in range(len(rounds)):
            group.create_task(call(caller))
        for name in ("task", "avatar"):
            await go_on()
            await stack.restart(name)
        await go_on()
        is_over.set()
