"""A link that garbles, or a peer of another protocol, is no fault of the caller or ours."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from services.runtime.channels.channel import connected
from services.runtime.failures.errors import ServiceError, Violation, from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.serving.server import ServingOptions, serving
from tests.support.proxy import Proxy, proxying

GET = pb.GetTaskRequest(task_id="task" * 15)
CREATE = pb.CreateTaskRequest(room_id="room" * 10, stream_id="stream" * 10)


class Tasks(rpc.TaskServiceServicer):
    """Answers everything."""

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        return pb.GetTaskResponse(task=pb.Task(task_id="task"))

    async def CreateTask(self, request: Any, context: Any) -> pb.CreateTaskResponse:
        return pb.CreateTaskResponse(task=pb.Task(task_id="task"))


def noise(passed: bytes) -> bytes:
    return random.Random(7).randbytes(len(passed))


def tail_of_noise(passed: bytes) -> bytes:
    half = len(passed) // 2
    return passed[:half] + noise(passed[half:])


def web_page(passed: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"


def tls_alert(passed: bytes) -> bytes:
    return b"\x15\x03\x01\x00\x02\x02\x46"


@asynccontextmanager
async def link() -> AsyncIterator[tuple[Proxy, rpc.TaskServiceStub]]:
    """A way to a service, and a caller who has used it."""
    async with (
        serving(
            ServingOptions(host="127.0.0.1", port=0),
            ["digitalhuman.task.v1.TaskService"],
            lambda server: rpc.add_TaskServiceServicer_to_server(Tasks(), server),
        ) as up,
        proxying(f"http://{up.address}") as proxy,
        connected(proxy.url.removeprefix("http://")) as channel,
    ):
        stub = rpc.TaskServiceStub(channel)
        await stub.GetTask(GET)
        yield proxy, stub


@pytest.mark.parametrize("change", [noise, tail_of_noise, web_page, tls_alert])
@pytest.mark.parametrize("way", ["up", "down"])
async def test_what_cannot_be_understood_is_a_peer_that_is_not_there(
    change: Callable[[bytes], bytes], way: str
) -> None:
    async with link() as (proxy, stub):
        getattr(proxy, way).garble(change)
        for ask, request in ((stub.GetTask, GET), (stub.CreateTask, CREATE)):
            call: Any = ask
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request, timeout=1.0)
            assert from_rpc_error(caught.value).reason in (
                Reason.DEPENDENCY_UNAVAILABLE,
                Reason.DEADLINE_EXCEEDED,
            )


async def test_what_was_garbled_once_is_asked_again() -> None:
    async with link() as (proxy, stub):
        left = [noise]
        proxy.down.garble(lambda passed: left.pop()(passed) if left else passed)
        assert (await stub.GetTask(GET)).task.task_id == "task"
        assert not left
        left = [noise]
        assert (await stub.CreateTask(CREATE)).task.task_id == "task"


class Refusing(rpc.TaskServiceServicer):
    """Finds far too much wrong with a request."""

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        violations = [
            Violation(field=f"labels[{at}]", rule="string.max_len", description="太长" * 20)
            for at in range(500)
        ]
        raise ServiceError(Reason.INVALID_REQUEST, "太长" * 5_000, violations=violations)


async def test_a_failure_is_told_in_what_a_peer_accepts() -> None:
    options = ServingOptions(host="127.0.0.1", port=0)
    async with (
        serving(
            options, [], lambda server: rpc.add_TaskServiceServicer_to_server(Refusing(), server)
        ) as up,
        connected(up.address) as channel,
    ):
        for _ in range(20):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rpc.TaskServiceStub(channel).GetTask(GET)
            told = from_rpc_error(caught.value)
            assert told.reason is Reason.INVALID_REQUEST
            assert told.message.startswith("太长")
            assert told.violations[0].field == "labels[0]"


async def test_an_answer_that_is_another_message_is_none() -> None:
    async def get_task(request: Any, context: Any) -> bytes:
        return b"\xff\xff\xff"

    def add(server: grpc.aio.Server) -> None:
        answer: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(get_task)
        methods = {"GetTask": answer}
        server.add_registered_method_handlers("digitalhuman.task.v1.TaskService", methods)

    options = ServingOptions(host="127.0.0.1", port=0)
    async with serving(options, [], add) as up, connected(up.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.TaskServiceStub(channel).GetTask(GET)
    assert from_rpc_error(caught.value).reason is Reason.DEPENDENCY_UNAVAILABLE
