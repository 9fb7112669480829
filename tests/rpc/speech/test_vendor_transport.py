"""What goes wrong on the way to a vendor is told by the errors of httpx."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from services.speech.vendors.http.transport import LONGEST_HEADER_BYTES, VendorTransport
from tests.support.authority import Authority

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
        try:
            with pytest.raises(httpx.WriteTimeout):
                await client.post("/", content=MORE_THAN_BUFFERS_HOLD)
        finally:
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


def test_a_connection_that_its_server_has_closed_meanwhile_is_not_used_again() -> None:
    over, closed = threading.Event(), threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as requests:
                while requests.readline().strip():
                    pass
                requests.read(4)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nWhy")
                over.wait()
            closed.set()

    async def ask() -> None:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        transport = VendorTransport.to(url, proxy=None)
        async with httpx.AsyncClient(base_url=url, transport=transport, timeout=20.0) as client:
            assert (await client.post("/", content=b"Why?")).text == "Why"
            over.set()
            closed.wait()  # The loop has not seen it when the next request begins.
            assert (await client.post("/", content=b"Why?")).text == "Why"

    with listening:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        asyncio.run(ask())
        serving.join()


@pytest.mark.parametrize(
    ("url", "path", "has_proxy"),
    [("wss://{host}", "https://{host}/voices", False), ("http://vendor.invalid", "/voices", True)],
    ids=["beside a socket", "behind a proxy"],
)
async def test_authorities_are_trusted_wherever_there_is_tls(
    url: str, path: str, has_proxy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Authority(tmp_path).issue("127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authorities))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    asked = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HEAD + b"some more")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        base_url = url.format(host=host)
        proxy = f"https://{host}" if has_proxy else None
        transport = VendorTransport.to(base_url, proxy=proxy)
        async with httpx.AsyncClient(base_url=base_url, transport=transport) as client:
            assert (await client.get(path.format(host=host))).text == "some more"
    assert b"/voices HTTP/1.1" in asked[0]


async def test_a_long_header_is_read() -> None:
    told = "a" * (LONGEST_HEADER_BYTES - 100)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            HEAD.replace(b"\r\n\r\n", f"\r\nx-told: {told}\r\n\r\n".encode()) + b"some more"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with client_of(answer) as client:
        assert (await client.get("/")).headers["x-told"] == told
