"""A network between the avatar service and the engine that loses answers after their effect."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class LossyProxy:
    """Passes on calls of HTTP/1.1 whose bodies have a length, and breaks some before the answer."""

    def __init__(self, target: str, *, share: float, rng: random.Random) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host.strip("[]"), int(port))
        self._share = share
        self._rng = rng

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the calls of one connection on, one after the other."""
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            try:
                while request := await _message(reader):
                    there_writer.write(request)
                    answer = await _message(there_reader)
                    if self._rng.random() < self._share:
                        return
                    writer.write(answer)
                    await writer.drain()
            finally:
                there_writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return a whole request or answer; empty at the end of the connection."""
    try:
        head = await reader.readuntil(_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    found = _LENGTH.search(head)
    return head + (await reader.readexactly(int(found[1])) if found else b"")


@asynccontextmanager
async def losing_answers(target: str, *, share: float, rng: random.Random) -> AsyncIterator[str]:
    """Serve before `host:port`; yields the address to call instead."""
    proxy = LossyProxy(target, share=share, rng=rng)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(proxy.serve(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)
        await asyncio.wait({connection})

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        left = [*connections]
        for connection in left:
            connection.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*left, return_exceptions=True)
