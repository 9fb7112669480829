"""A live stream that another process decodes, as the gateway sees it."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable

from gateway.decoding.messages import ANSWER, LENGTH, PCM, REFUSED
from gateway.decoding.refusal import Refusal, damaged

Connect = Callable[[socket.socket], Awaitable[None]]
"""Has a process decode what comes over a socket."""


class LiveStream:
    """The WebM of one line; its process starts with its first piece and ends with the stream."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def decode(self, piece: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the PCM that a piece completes, 16 kHz mono; raises Refusal.

        Whoever does not read to the end cannot go on with the stream.
        """
        reader, writer = self._line or await self._open()
        try:
            writer.write(LENGTH.pack(len(piece)) + piece)
            await writer.drain()
            while True:
                kind, size = ANSWER.unpack(await reader.readexactly(ANSWER.size))
                content = await reader.readexactly(size)
                if kind == REFUSED:
                    raise Refusal.of(json.loads(content))
                if kind != PCM:
                    return
                yield content
        except (asyncio.IncompleteReadError, OSError):
            # It took too long or too much, or has crashed.
            raise damaged() from None

    def close(self) -> None:
        """End the process."""
        if self._line is not None:
            self._line[1].transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                await self._connect(theirs)
            self._line = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        return self._line
