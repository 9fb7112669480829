"""What one provider gets, kept so that the next can have it from the beginning."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, Self, TypeVar

from services.speech.streams import closing

T = TypeVar("T")


class Recording(Generic[T]):
    """Reads a source once, and lets one reader at a time have all of it from any piece on."""

    def __init__(self, source: AsyncIterator[T]) -> None:
        self.pieces: list[T] = []
        self._source = source
        self._reading: asyncio.Future[T | None] | None = None
        self._is_over = False

    @classmethod
    @asynccontextmanager
    async def of(cls, source: AsyncIterator[T]) -> AsyncIterator[Self]:
        """A recording that closes its source when the context is left."""
        recording = cls(source)
        async with closing(source):
            try:
                yield recording
            finally:
                await recording._abandon()

    async def replay(self, start: int = 0) -> AsyncIterator[T]:
        """Yield the pieces from one on, and those to come; raises what the source raises."""
        at = start
        while True:
            while at < len(self.pieces):
                at += 1
                yield self.pieces[at - 1]
            if self._is_over:
                return
            await self._read()

    async def _read(self) -> None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(anext(self._source, None))
        # A reader that is cancelled while waiting must not cancel the source.
        await asyncio.wait({self._reading})
        reading, self._reading = self._reading, None
        piece = reading.result()
        if piece is None:
            self._is_over = True
        else:
            self.pieces.append(piece)

    async def _abandon(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
