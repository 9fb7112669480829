"""One address before several gateways, as `parley up --replicas` has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from parley.load_balancer import balancing


class Gateway:
    """Says its name to whoever connects, or takes part in HTTP as far as readiness needs it."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._status = b"200"
        self._polled = asyncio.Event()
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line.startswith(b"GET /readyz"):
            head = (
                b"HTTP/1.1 " + self._status + b" \r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            writer.write(head)
            self._polled.set()
        elif line.startswith(b"abort"):
            writer.transport.abort()
        else:
            # What the client says until it ends its side, and then our name.
            writer.write(line + await reader.read() + self._name)
        writer.close()
        await writer.wait_closed()

    async def become(self, status: bytes) -> None:
        """Answer polls like this, and wait until two have been answered."""
        self._status = status
        for _ in range(2):
            self._polled.clear()
            await self._polled.wait()


@asynccontextmanager
async def serving(*gateways: Gateway) -> AsyncIterator[None]:
    async with AsyncExitStack() as life:
        for gateway in gateways:
            server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
            life.push_async_callback(server.wait_closed)
            life.callback(server.close)
            gateway.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield


async def ask(port: int) -> bytes:
    """Return the answer; empty if the connection ends or breaks without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\nthere ")
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_connections_go_in_turn_to_those_that_are_ready() -> None:
    one, two = Gateway(b"one"), Gateway(b"two")
    async with (
        serving(one, two),
        balancing("127.0.0.1:0", [one.address, two.address], poll_s=0.02) as port,
    ):
        await one.become(b"200")
        await two.become(b"200")
        assert {await ask(port), await ask(port)} == {b"hello\nthere one", b"hello\nthere two"}
        await two.become(b"503")
        assert [await ask(port) for _ in range(3)] == [b"hello\nthere one"] * 3
        # A service behind both is away, and calls wait for it.
        await one.become(b"503")
        assert {await ask(port), await ask(port)} == {b"hello\nthere one", b"hello\nthere two"}
        await two.become(b"200")
        assert await ask(port) == b"hello\nthere two"


async def test_a_gateway_that_has_just_died_is_passed_over() -> None:
    one, two = Gateway(b"one"), Gateway(b"two")
    async with serving(two), AsyncExitStack() as first, AsyncExitStack() as life:
        await first.enter_async_context(serving(one))
        port = await life.enter_async_context(
            balancing("127.0.0.1:0", [one.address, two.address], poll_s=0.02)
        )
        await one.become(b"200")
        await two.become(b"200")
        await first.aclose()
        assert [await ask(port) for _ in range(4)] == [b"hello\nthere two"] * 4


async def test_a_gateway_that_breaks_a_connection_breaks_its_client_s() -> None:
    one = Gateway(b"one")
    async with serving(one), balancing("127.0.0.1:0", [one.address], poll_s=0.02) as port:
        await one.become(b"200")
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"abort\n")
        with pytest.raises(ConnectionError):
            await until_broken(writer)
        writer.transport.abort()


async def until_broken(writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(30):
        while True:
            writer.write(b"more")
            await writer.drain()
            await asyncio.sleep(0)
