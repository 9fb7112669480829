"""A network between the avatar service and the engine that is not to be relied on."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from engine.contract.codes import Code

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ACTION = re.compile(rb"[?&]Action=(\w+)")
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Shares of calls, from 0 to 1."""

    refused: float = 0.0
    """Answered that the system is busy, without effect."""
    request: float = 0.0
    """Without an answer and without effect."""
    answer: float = 0.0
    """Without an answer, but with their effect."""


FAITHFUL = Losses()
UNRELIABLE = Losses(refused=0.05, request=0.05, answer=0.05)


class LossyProxy:
    """Passes on calls of HTTP/1.1 whose bodies have a length; `calls` are those that arrived."""

    def __init__(self, target: str, *, losses: Losses, rng: random.Random) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host.strip("[]"), int(port))
        self._losses = losses
        self._rng = rng
        self.address = ""
        self.calls: Counter[str] = Counter()

    @contextmanager
    def losing(self, losses: Losses) -> Iterator[None]:
        """Lose as much as this while the block is open."""
        self._losses, before = losses, self._losses
        try:
            yield
        finally:
            self._losses = before

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the calls of one connection on, one after the other."""
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            try:
                while request := await _message(reader):
                    answer = await self._answer(request, there_reader, there_writer)
                    if not answer:
                        return
                    writer.write(answer)
                    await writer.drain()
            finally:
                there_writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Return the answer to a call, empty if it is lost."""
        losses, fate = self._losses, self._rng.random()
        if fate < losses.refused:
            return _BUSY
        if fate < losses.refused + losses.request:
            return b""
        if action := _ACTION.search(request):
            self.calls[action[1].decode()] += 1
        writer.write(request)
        answer = await _message(reader)
        is_lost = fate < losses.refused + losses.request + losses.answer
        return b"" if is_lost else answer


def _busy() -> bytes:
    refusal = {"Code": Code.SYSTEM_BUSY, "Message": "busy", "RequestId": "proxy"}
    body = json.dumps(refusal).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


_BUSY = _busy()


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
async def lossy_proxy(
    target: str, *, losses: Losses, rng: random.Random
) -> AsyncIterator[LossyProxy]:
    """Serve before `host:port` until the block is left."""
    proxy = LossyProxy(target, losses=losses, rng=rng)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(proxy.serve(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)
        await asyncio.wait({connection})

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        left = [*connections]
        for connection in left:
            connection.cancel()
        await asyncio.gather(*left, return_exceptions=True)
