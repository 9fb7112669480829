"""A server's life: health tells of it, running calls may end, new ones are refused."""

import asyncio
import gc
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hpack import Encoder
from hyperframe.frame import HeadersFrame, SettingsFrame

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from services.runtime.channels.channel import connected
from services.runtime.serving.accepting import grpc_server
from services.runtime.serving.server import ServingOptions, serving

TASK = "digitalhuman.task.v1.TaskService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NO_METHOD = b"Method not found!"


class Tasks(rpc.TaskServiceServicer):
    """Answers when released."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.released = asyncio.Event()

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        self.entered.set()
        await self.released.wait()
        return pb.GetTaskResponse()


def options(**changes: Any) -> ServingOptions:
    values: dict[str, Any] = {"host": "127.0.0.1", "port": 0, **changes}
    return ServingOptions(**values)


def registered(tasks: Tasks) -> Any:
    return lambda server: rpc.add_TaskServiceServicer_to_server(tasks, server)


@pytest.mark.parametrize("service", ["", TASK])
async def test_health_says_serving(service: str) -> None:
    async with serving(options(), [TASK]) as up, connected(up.address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        answer = await health_pb2_grpc.HealthStub(channel).Check(request)
    assert answer.status == SERVING


async def test_health_needs_no_token() -> None:
    async with (
        serving(options(service_tokens=("token",)), [TASK]) as up,
        connected(up.address) as channel,
    ):
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == SERVING


async def reflected_names(serving_options: ServingOptions) -> set[str]:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with serving(serving_options, [TASK]) as up, connected(up.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        answers = [answer async for answer in stub.ServerReflectionInfo([request])]
    return {each.name for answer in answers for each in answer.list_services_response.service}


async def test_reflection_names_the_services() -> None:
    assert TASK in await reflected_names(options(has_reflection=True))


async def test_reflection_is_off_by_default() -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reflected_names(options())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_running_call_ends_while_the_server_drains() -> None:
    tasks = Tasks()
    async with asyncio.TaskGroup() as group:
        leave = asyncio.Event()
        up = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            async with serving(options(drain_s=30), [TASK], registered(tasks)) as server:
                up.set_result(server.address)
                await leave.wait()

        served = group.create_task(serve())
        async with connected(await up) as channel:
            health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await health.read()).status == SERVING
            running = asyncio.ensure_future(
                rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="task"))
            )
            await tasks.entered.wait()
            leave.set()
            assert (await health.read()).status == NOT_SERVING
            health.cancel()
            assert not served.done()
            tasks.released.set()
            assert await running == pb.GetTaskResponse()
            await served


async def test_a_call_that_does_not_end_is_cut_off_after_the_grace() -> None:
    tasks = Tasks()
    async with serving(options(drain_s=0.1), [TASK], registered(tasks)) as up:
        channel = grpc.aio.insecure_channel(up.address)
        running = asyncio.ensure_future(
            rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="task"))
        )
        await tasks.entered.wait()
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await running
    await channel.close()


async def test_a_call_is_answered_though_who_waited_for_it_is_gone() -> None:
    """As at the end of a server: the core was asked for a call, and gives one."""
    tasks = Tasks()
    tasks.released.set()
    server: Any = grpc_server([], [])
    rpc.add_TaskServiceServicer_to_server(tasks, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with connected(f"127.0.0.1:{port}") as channel:
        stub = rpc.TaskServiceStub(channel)
        await stub.GetTask(pb.GetTaskRequest(task_id="task"))
        waiting = server._server._make_request_call_future(f"/{TASK}/GetTask".encode())
        # By then the core is asked.
        await stub.GetTask(pb.GetTaskRequest(task_id="task"))
        waiting.cancel()
        for _ in range(3):
            await stub.GetTask(pb.GetTaskRequest(task_id="task"))
    await server.stop(None)


async def test_a_taken_port_is_said_plainly() -> None:
    async with serving(options(), [TASK]) as up:
        port = int(up.address.rpartition(":")[2])
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            async with serving(options(port=port), [TASK]):
                pass


async def call(address: str, path: bytes) -> None:
    """Call what gRPC's own client cannot, and return when the answer is that there is none."""
    headers = [
        *((b":method", b"POST"), (b":scheme", b"http"), (b":path", path)),
        *((b":authority", b"x"), (b"te", b"trailers"), (b"content-type", b"application/grpc")),
    ]
    block = Encoder().encode(headers)
    frame = HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]).serialize()
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize() + frame)
    await reader.readuntil(NO_METHOD)
    writer.close()


@pytest.mark.parametrize("path", [b"/a/b", b"/a/\xe8b", b"/\xff", f"/{TASK}/".encode() + b"\x80"])
async def test_a_path_of_no_method_disturbs_no_call(path: bytes) -> None:
    uncaught: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: uncaught.append(context))
    tasks = Tasks()
    async with (
        serving(options(), [TASK], registered(tasks)) as up,
        connected(up.address) as channel,
    ):
        running = asyncio.ensure_future(
            rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="task"))
        )
        await tasks.entered.wait()
        for _ in range(3):
            await call(up.address, path)
        health = health_pb2_grpc.HealthStub(channel)
        await health.Check(health_pb2.HealthCheckRequest(), timeout=20)
        tasks.released.set()
        assert await running == pb.GetTaskResponse()
    gc.collect()
    assert not uncaught
