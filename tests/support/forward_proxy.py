"""A proxy as companies have them, that keeps what it was asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.listening import listening

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(kw_only=True)
class ForwardProxy:
    """Keeps the first line of each request; passes all to one server, or refuses all."""

    server: tuple[str, int] | None
    url: str = ""
    asked: list[str] = field(default_factory=list)

    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._connections.discard(connection)
            writer.transport.abort()

    async def close(self) -> None:
        """End the connections that are left."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            # SOCKS has no lines: whatever comes is kept.
            line = await reader.readline()
            self.asked.append(line.decode("latin-1").strip())
            if self.server is None:
                writer.write(REFUSAL)
                await writer.drain()
            else:
                await self._pass_on(line, reader, writer)

    async def _pass_on(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        assert self.server is not None
        there_reader, there_writer = await asyncio.open_connection(*self.server)
        if line.startswith(b"CONNECT"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(TUNNEL)
        else:
            method, url, version = line.split(b" ", 2)
            there_writer.write(b" ".join([method, urlsplit(url).path, version]))
        ways = [
            asyncio.create_task(_pump(reader, there_writer)),
            asyncio.create_task(_pump(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            there_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()


@asynccontextmanager
async def forward_proxy(server: tuple[str, int] | None = None) -> AsyncIterator[ForwardProxy]:
    """Serve a proxy that leads to one server whatever it is asked for, or nowhere."""
    proxy = ForwardProxy(server=server)
    try:
        async with listening(proxy.serve) as port:
            proxy.url = f"http://127.0.0.1:{port}"
            yield proxy
    finally:
        await proxy.close()
