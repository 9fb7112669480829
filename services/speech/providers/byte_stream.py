"""Bytes that come in pieces, read by the number."""

from collections.abc import AsyncIterator

from services.speech.streams import closing


class ByteStream:
    """One reader's view of pieces; at their end there are fewer bytes than asked for."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._ahead = b""

    async def peek(self, size: int) -> bytes:
        """Return the next bytes, as many as have come but `size` at least; they stay unread."""
        while len(self._ahead) < size:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            self._ahead += piece
        return self._ahead

    async def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        taken = (await self.peek(size))[:size]
        self._ahead = self._ahead[size:]
        return taken

    async def some(self, limit: int | None = None) -> bytes:
        """Return what has come, at most `limit` bytes; empty at the end."""
        await self.peek(1)
        taken = self._ahead[:limit]
        self._ahead = self._ahead[len(taken) :]
        return taken

    async def rest(self) -> AsyncIterator[bytes]:
        """Yield all that comes."""
        async with closing(self._pieces):
            while piece := await self.some():
                yield piece
