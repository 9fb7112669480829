"""A pooler in transaction mode, as pgbouncer's.

The transactions of a client come to different connections of the server, and what one leaves on its
connection is not there for the next.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_SSL_REQUEST = 80877103
_DISCARD = b"Q" + struct.pack("!i", 4 + 12) + b"DISCARD ALL\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Pooler:
    """Hands the oldest idle server connection to whichever client begins a transaction."""

    def __init__(self, server_path: str) -> None:
        self._server_path = server_path
        self._idle: asyncio.Queue[_Server] = asyncio.Queue()
        self.transactions = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        try:
            await self._welcome(reader, writer)
            while True:
                first = await _message(reader)
                if first[:1] == b"X":
                    return
                await self._transact(first, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def close(self) -> None:
        """Close the server connections."""
        while not self._idle.empty():
            self._idle.get_nowait().writer.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Make a server connection for a client, and put it with the others."""
        startup = await _startup(reader)
        if struct.unpack("!i", startup[4:8])[0] == _SSL_REQUEST:
            writer.write(b"N")
            startup = await _startup(reader)
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_path)
        server = _Server(reader=server_reader, writer=server_writer)
        server.writer.write(startup)
        await _relay_until_ready(server, writer)
        self._idle.put_nowait(server)

    async def _transact(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.transactions += 1
        server = await self._idle.get()
        server.writer.write(first)
        forward = asyncio.create_task(_forward(reader, server.writer))
        try:
            while await _relay_until_ready(server, writer) != b"I":
                pass
        finally:
            forward.cancel()
            await asyncio.gather(forward, return_exceptions=True)
        server.writer.write(_DISCARD)
        await _relay_until_ready(server, None)
        self._idle.put_nowait(server)


async def _startup(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("!i", head)[0] - 4)


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(await _message(reader))


async def _relay_until_ready(server: _Server, writer: asyncio.StreamWriter | None) -> bytes:
    """Pass on what the server says until it is ready; return the status of its transaction."""
    while True:
        message = await _message(server.reader)
        if writer is not None:
            writer.write(message)
        if message[:1] == b"Z":
            return message[5:]


@asynccontextmanager
async def pooler(server_path: str, path: str) -> AsyncIterator[Pooler]:
    """Listen on a socket while the block is open."""
    made = Pooler(server_path)
    async with await asyncio.start_unix_server(made.serve, path):
        try:
            yield made
        finally:
            made.close()
