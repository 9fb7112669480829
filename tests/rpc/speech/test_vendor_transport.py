"""What goes wrong on the way to a vendor is told by the errors of httpx."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from services.speech.vendors.http.transport import VendorTransport

MORE_THAN_BUFFERS_HOLD = bytes(64 << 20)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def client_of(serve: Serve, *, write_s: float = 20.0) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that serves each connection like this, and then drops it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = VendorTransport.to(url, proxy=None)
        timeout = httpx.Timeout(20.0, write=write_s)
        async with httpx.AsyncClient(base_url=url, transport=transport, timeout=timeout) as client:
            yield client


async def test_a_request_that_is_not_taken_is_given_up() -> None:
    over = asyncio.Event()

    async def never_read(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()

    async with client_of(never_read, write_s=0.1) as client:
        with pytest.raises(httpx.WriteTimeout):
            await client.post("/", content=MORE_THAN_BUFFERS_HOLD)
        over.set()


async def test_a_connection_that_is_dropped_is_no_answer() -> None:
    async def drop(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with client_of(drop) as client:
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            await client.post("/", content=b"Why?")


async def test_an_answer_that_is_cut_is_no_answer() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"half")
        await writer.drain()

    async with client_of(cut) as client:
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            await client.post("/", content=b"Why?")


async def test_nobody_is_there() -> None:
    nowhere = "http://127.0.0.1:1"
    transport = VendorTransport.to(nowhere, proxy=None)
    async with httpx.AsyncClient(base_url=nowhere, transport=transport) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
