"""A byte stream that arrives in pieces, read by the byte."""

from collections.abc import AsyncIterator

from services.speech.streams import closing


class ByteStream:
    """Buffers pieces for one reader; at the end it returns fewer bytes than asked for."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._ahead = bytearray()

    async def peek(self, size: int) -> bytes:
        """Return all bytes that have arrived, at least `size`; they stay unread."""
        await self._fill(size)
        return bytes(self._ahead)

    async def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        await self._fill(size)
        return self._drop(size)

    async def some(self, limit: int | None = None) -> bytes:
        """Return what has arrived, at most `limit` bytes; empty at the end."""
        await self._fill(1)
        return self._drop(len(self._ahead) if limit is None else limit)

    async def rest(self) -> AsyncIterator[bytes]:
        """Yield everything that follows."""
        async with closing(self._pieces):
            while piece := await self.some():
                yield piece

    async def _fill(self, size: int) -> None:
        while len(self._ahead) < size:
            piece = await anext(self._pieces, None)
            if piece is None:
                return
            self._ahead += piece

    def _drop(self, size: int) -> bytes:
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        return taken
