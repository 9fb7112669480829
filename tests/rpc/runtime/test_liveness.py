"""A link that swallows everything is found out at both of its ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from gateway.server.serving import PING_EVERY_S, PONG_WITHIN_S
from services.avatar.vendor.client import CallPatience
from services.avatar.vendor.socket import SocketPatience
from services.runtime.channels.channel import connected
from services.runtime.failures.errors import from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.liveness import FOUND_DEAD_S
from services.runtime.serving.server import ServingOptions, serving
from tests.support.proxy import proxying

LONGEST_S = 10.0
WATCH = pb.WatchTaskRequest(task_id="task")


class Endless(rpc.TaskServiceServicer):
    """Has nothing more to say, and notes that its caller is gone."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def WatchTask(self, request: Any, context: Any) -> AsyncIterator[pb.WatchTaskResponse]:
        try:
            yield pb.WatchTaskResponse()
            await asyncio.get_running_loop().create_future()
        finally:
            self.left.set()

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        return pb.GetTaskResponse()


@pytest.mark.parametrize("ways", [("up", "down"), ("down",)])
async def test_both_ends_of_a_dead_link_are_told_and_the_next_one_is_used(
    ways: tuple[str, ...],
) -> None:
    servicer = Endless()
    async with (
        serving(
            ServingOptions(host="127.0.0.1", port=0),
            ["digitalhuman.task.v1.TaskService"],
            lambda server: rpc.add_TaskServiceServicer_to_server(servicer, server),
        ) as up,
        proxying(f"http://{up.address}") as proxy,
        connected(proxy.url.removeprefix("http://")) as channel,
    ):
        stub = rpc.TaskServiceStub(channel)
        watch = stub.WatchTask(WATCH)
        assert await watch.read() == pb.WatchTaskResponse()
        for way in ways:
            getattr(proxy, way).hold()
        # Either would wait for minutes by itself.
        async with asyncio.timeout(40):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await watch.read()
            await servicer.left.wait()
        assert from_rpc_error(caught.value).reason is Reason.DEPENDENCY_UNAVAILABLE
        proxy.cut()
        proxy.mend()
        assert await stub.GetTask(pb.GetTaskRequest(task_id="task")) == pb.GetTaskResponse()


async def test_an_idle_link_is_not_taken_for_a_dead_one() -> None:
    """Nor are its questions for abuse: the connection stays the same."""
    async with (
        serving(
            ServingOptions(host="127.0.0.1", port=0),
            ["digitalhuman.task.v1.TaskService"],
            lambda server: rpc.add_TaskServiceServicer_to_server(Endless(), server),
        ) as up,
        connected(up.address) as channel,
    ):
        watch = rpc.TaskServiceStub(channel).WatchTask(WATCH)
        await watch.read()
        reading = asyncio.ensure_future(watch.read())
        await asyncio.wait({reading}, timeout=13)
        assert not reading.done()
        watch.cancel()
        await asyncio.wait({reading})


async def test_a_peer_that_is_not_there_is_not_just_late() -> None:
    async with connected("127.0.0.1:1") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="task"), timeout=2)
    assert from_rpc_error(caught.value).reason is Reason.DEPENDENCY_UNAVAILABLE


def test_a_dead_link_is_found_within_ten_seconds_everywhere() -> None:
    assert FOUND_DEAD_S <= LONGEST_S
    assert PING_EVERY_S + PONG_WITHIN_S <= LONGEST_S
    socket = SocketPatience()
    assert socket.ping_interval_s + socket.ping_timeout_s <= LONGEST_S
    assert CallPatience().attempt_s <= LONGEST_S
