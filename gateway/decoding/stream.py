"""A live stream that another process decodes, as the gateway sees it."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable

from gateway.decoding.messages import ANSWER, LENGTH, PCM, REFUSED
from gateway.decoding.refusal import Refusal, damaged

Connect = Callable[[], Awaitable[socket.socket]]
"""Returns a socket; a process decodes what comes over it. Raises ServiceError if none does."""


class LiveStream:
    """The WebM of one line; its process starts with its first piece and ends with the stream."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def decode(self, piece: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the PCM that a piece completes, 16 kHz mono; raises Refusal, or ServiceError.

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
        line = await self._connect()
        try:
            self._line = await asyncio.open_unix_connection(sock=line)
        except BaseException:
            line.close()
            raise
        return self._line
