"""Which failures a channel tries again by the published service config, and what it waits for."""

import asyncio
from typing import Any

import grpc
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from services.runtime.channel import connected
from services.runtime.errors import ServiceError, from_rpc_error
from services.runtime.reasons import Reason
from services.runtime.serving import ServingOptions, serving
from tests.support.compose import free_ports


class Failing(rpc.TaskServiceServicer):
    """Fails with one reason and counts the tries."""

    def __init__(self, reason: Reason) -> None:
        self.tries = 0
        self._reason = reason

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        self.tries += 1
        raise ServiceError(self._reason, "no")


@pytest.mark.parametrize(
    ("reason", "tries"),
    [
        (Reason.DRAINING, 5),
        (Reason.CLOUD_UNREACHABLE, 1),
        (Reason.TASK_NOT_FOUND, 1),
    ],
)
async def test_only_a_replica_that_shuts_down_is_tried_again(reason: Reason, tries: int) -> None:
    servicer = Failing(reason)
    options = ServingOptions(host="127.0.0.1", port=0)
    async with (
        serving(
            options,
            ["digitalhuman.task.v1.TaskService"],
            lambda server: rpc.add_TaskServiceServicer_to_server(servicer, server),
        ) as up,
        connected(up.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="task"))
    assert from_rpc_error(caught.value).reason is reason
    assert servicer.tries == tries


class Answering(rpc.TaskServiceServicer):
    """Takes a moment, so that a restart always finds some calls under way."""

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        await asyncio.sleep(0.02)
        return pb.GetTaskResponse()

    async def CreateTask(self, request: Any, context: Any) -> pb.CreateTaskResponse:
        await asyncio.sleep(0.05)
        return pb.CreateTaskResponse()


async def test_no_call_fails_because_its_peer_starts_anew() -> None:
    [port] = free_ports(1)
    options = ServingOptions(host="127.0.0.1", port=int(port), drain_s=0.2)
    is_over = asyncio.Event()

    def once() -> Any:
        return serving(
            options,
            ["digitalhuman.task.v1.TaskService"],
            lambda server: rpc.add_TaskServiceServicer_to_server(Answering(), server),
        )

    async def call(stub: rpc.TaskServiceStub) -> int:
        calls = 0
        while not is_over.is_set():
            await stub.GetTask(pb.GetTaskRequest(task_id="task"))
            await stub.CreateTask(pb.CreateTaskRequest(room_id="room", stream_id="stream"))
            calls += 1
        return calls

    async with connected(f"127.0.0.1:{port}") as channel:
        stub = rpc.TaskServiceStub(channel)
        callers = [asyncio.create_task(call(stub)) for _ in range(8)]
        for _ in range(3):
            async with once():
                await asyncio.sleep(0.5)
            # It takes a while to be back.
            await asyncio.sleep(0.7)
        async with once():
            is_over.set()
            counts = await asyncio.gather(*callers)
    assert min(counts) > 1
