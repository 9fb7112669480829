"""Channels to the replicas of a service, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc
from services.runtime.channels.rendezvous import ranked
from services.runtime.channels.replicas import GUESTS, replicas
from services.runtime.serving.server import ServingOptions, serving
from tests.support.compose import free_ports

pytestmark = pytest.mark.timeout(60)


class Named(task_pb2_grpc.TaskServiceServicer):
    """Answers with its own address."""

    address = ""

    async def GetTask(self, request: pb.GetTaskRequest, context: Any) -> pb.GetTaskResponse:
        """Return a task of that name."""
        return pb.GetTaskResponse(task=pb.Task(task_id=self.address))

    async def WatchTask(
        self, request: pb.WatchTaskRequest, context: Any
    ) -> AsyncIterator[pb.WatchTaskResponse]:
        """Name itself twice, with a pause in between that the caller ends."""
        seen = pb.TaskSnapshot(task=pb.Task(task_id=self.address))
        yield pb.WatchTaskResponse(snapshot=seen)
        await PAUSES[request.task_id].wait()
        yield pb.WatchTaskResponse(snapshot=seen)


PAUSES: dict[str, asyncio.Event] = {}


@asynccontextmanager
async def replica(port: int = 0) -> AsyncIterator[str]:
    named = Named()
    async with serving(
        ServingOptions(host="127.0.0.1", port=port, drain_s=0),
        [],
        lambda server: task_pb2_grpc.add_TaskServiceServicer_to_server(named, server),
    ) as up:
        named.address = up.address
        yield up.address


@dataclass(slots=True)
class Names:
    """A resolver that knows what it is told."""

    addresses: Sequence[str] = ()
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.set()
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


async def asked(stub: task_pb2_grpc.TaskServiceStub) -> str:
    return (await stub.GetTask(pb.GetTaskRequest(task_id="any"))).task.task_id


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_one_replica_is_all_there_is() -> None:
    async with (
        replica() as address,
        replicas(address, task_pb2_grpc.TaskServiceStub) as found,
    ):
        assert found.for_key("a") is found.for_key("b") is found.any
        assert await asked(found.any) == address


async def test_a_key_has_its_replica_and_other_calls_go_to_all() -> None:
    async with AsyncExitStack() as stack:
        up = [await stack.enter_async_context(replica()) for _ in range(3)]
        found = await stack.enter_async_context(
            replicas(",".join(up), task_pb2_grpc.TaskServiceStub)
        )
        for key in map(str, range(10)):
            assert await asked(found.for_key(key)) == ranked(up, key)[0]
        async with asyncio.timeout(20):
            seen = set[str]()
            while seen != set(up):
                seen.add(await asked(found.any))


async def test_a_replica_that_is_gone_is_passed_over_until_it_is_back() -> None:
    async with AsyncExitStack() as stack:
        stays = await stack.enter_async_context(replica())
        life = await stack.enter_async_context(AsyncExitStack())
        # Nobody else is given it meanwhile.
        [port] = free_ports(1)
        goes = await life.enter_async_context(replica(int(port)))
        found = await stack.enter_async_context(
            replicas(f"{stays},{goes}", task_pb2_grpc.TaskServiceStub)
        )
        key = next(each for each in map(str, range(100)) if ranked([stays, goes], each)[0] == goes)
        assert await asked(found.for_key(key)) == goes
        await life.aclose()
        await until(lambda: found.ranking(key)[0] == stays)
        assert await asked(found.for_key(key)) == stays
        # No other call is lost to it, either.
        assert {await asked(found.any) for _ in range(10)} == {stays}
        async with replica(int(port)):
            await until(lambda: found.ranking(key)[0] == goes)
            assert await asked(found.for_key(key)) == goes


async def test_no_call_is_lost_with_a_replica_that_shuts_down() -> None:
    async with AsyncExitStack() as stack:
        stays = await stack.enter_async_context(replica())
        life = await stack.enter_async_context(AsyncExitStack())
        goes = await life.enter_async_context(replica())
        found = await stack.enter_async_context(
            replicas(f"{stays},{goes}", task_pb2_grpc.TaskServiceStub)
        )
        answered: list[str] = []

        async def ask_on() -> None:
            while len(answered) < 600:
                answered.append(await asked(found.any))

        async with asyncio.timeout(40), asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(ask_on())
            await until(lambda: goes in answered)
            await life.aclose()
            before = len(answered)
        assert len(answered) > before
        assert set(answered) == {stays, goes}


async def test_a_name_is_resolved_again() -> None:
    PAUSES["t"] = asyncio.Event()
    names = Names(addresses=["127.0.0.1"])
    async with (
        replica() as address,
        replicas(
            f"dns:///tasks:{address.rpartition(':')[2]}",
            task_pb2_grpc.TaskServiceStub,
            lookup=names,
            every_s=0.01,
        ) as found,
    ):
        assert await asked(found.any) == address
        watching = found.any.WatchTask(pb.WatchTaskRequest(task_id="t"))
        first = await watching.read()
        assert isinstance(first, pb.WatchTaskResponse)
        # One more replica, at an address where nobody listens.
        names.addresses = ["127.0.0.1", "127.0.0.2"]
        await until(lambda: len(found.channels) == 2)
        assert {await asked(found.any) for _ in range(5)} == {address}
        # The name is not known for a while: what was known still is.
        names.addresses = []
        names.asked.clear()
        await asyncio.wait_for(names.asked.wait(), 10)
        assert len(found.channels) == 2
        # What was begun before goes on after all changes.
        names.addresses = ["127.0.0.1"]
        await until(lambda: len(found.channels) == 1)
        PAUSES["t"].set()
        assert isinstance(await watching.read(), pb.WatchTaskResponse)
        assert await watching.read() is grpc.aio.EOF


async def test_a_name_that_is_not_known_yet_is_waited_for() -> None:
    names = Names()
    async with replica() as address:
        port = address.rpartition(":")[2]
        async with replicas(
            f"dns:///localhost:{port}", task_pb2_grpc.TaskServiceStub, lookup=names, every_s=0.01
        ) as found:
            assert found.for_key("a") is found.for_key("b")
            names.addresses = ["127.0.0.1"]
            assert await asked(found.any) == address


async def test_only_so_many_addresses_are_dialled_because_an_answer_names_them() -> None:
    async with (
        replica() as address,
        replica() as other,
        replicas(address, task_pb2_grpc.TaskServiceStub) as found,
    ):
        guest = found.at(other)
        assert await asked(guest) == other
        assert found.at(other) is guest
        for number in range(GUESTS):
            found.at(f"127.0.0.1:{number + 1}")
        assert found.at(other) is not guest
        assert await asked(found.at(other)) == other
