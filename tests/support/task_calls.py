"""What tests of the task service's contract often do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from digitalhuman.conversation.v1 import conversation_pb2 as talk
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.errors import ServiceError
from services.task.ports.cloud import Cloud
from tests.support.failures import told_by
from tests.support.task import task_service

OpenService = Callable[..., Awaitable[TaskServiceStub]]

FINAL = (pb.TASK_STATE_STOPPED, pb.TASK_STATE_FAILED)


@asynccontextmanager
async def serving_tasks(
    cloud: Cloud | None = None, **settings: Any
) -> AsyncIterator[TaskServiceStub]:
    """Serve tasks while the block is open; yields a client."""
    async with (
        task_service(cloud, **settings) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield TaskServiceStub(channel)


async def error_of(call: Awaitable[Any]) -> ServiceError:
    """Return the error with which a call fails."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return told_by(error)
    raise AssertionError(f"the call succeeded: {answer}")


async def create(tasks: TaskServiceStub, stream_id: str = "stream", **fields: Any) -> pb.Task:
    """Create a task."""
    request = pb.CreateTaskRequest(room_id="room", stream_id=stream_id, **fields)
    return (await tasks.CreateTask(request)).task


async def get(tasks: TaskServiceStub, task_id: str) -> pb.Task:
    """Return a task."""
    return (await tasks.GetTask(pb.GetTaskRequest(task_id=task_id))).task


async def stop(tasks: TaskServiceStub, task_id: str) -> pb.Task:
    """Stop a task."""
    return (await tasks.StopTask(pb.StopTaskRequest(task_id=task_id))).task


@asynccontextmanager
async def watching(
    tasks: TaskServiceStub, task_id: str, after: int | None = 0
) -> AsyncIterator[AsyncIterator[pb.WatchTaskResponse]]:
    """Watch a task while the block is open."""
    call = tasks.WatchTask(pb.WatchTaskRequest(task_id=task_id, after_sequence=after))
    try:
        yield aiter(call)
    finally:
        call.cancel()


async def until(tasks: TaskServiceStub, task_id: str, *states: pb.TaskState.ValueType) -> pb.Task:
    """Wait until a task reaches one of the states by itself."""
    async with watching(tasks, task_id) as updates:
        async for update in updates:
            task = update.event.state_changed.task
            if task.state in states:
                return task
    raise AssertionError(f"{task_id} ended without coming to {states}")


async def create_streaming(
    tasks: TaskServiceStub, stream_id: str = "stream", **fields: Any
) -> pb.Task:
    """Create a task and wait until it is on air."""
    task = await create(tasks, stream_id, **fields)
    return await until(tasks, task.task_id, pb.TASK_STATE_STREAMING)


def event(sequence: int, turn_id: int = 0, **content: Any) -> talk.ConversationEvent:
    """Return a conversation event; without content, the user started to speak."""
    if not content:
        content = {"speech_started": talk.SpeechStarted()}
    return talk.ConversationEvent(sequence=sequence, turn_id=turn_id, **content)


async def append(
    tasks: TaskServiceStub, task_id: str, *events: talk.ConversationEvent, epoch: int = 0
) -> pb.AppendEventsResponse:
    """Append to a conversation."""
    request = pb.AppendEventsRequest(task_id=task_id, events=events, epoch=epoch)
    return await tasks.AppendEvents(request)
