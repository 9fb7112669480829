"""A reply's text, written by a task of its own: it may begin before its turn and outlive it."""

import asyncio
from collections.abc import AsyncIterator

from services.speech.streams import closing

AHEAD_CHARACTERS = 2_000
"""How far the writing may be ahead of the reading."""


class Draft:
    """What is written stays readable: for its turn, and for one that takes the reply up again."""

    def __init__(self, deltas: AsyncIterator[str]) -> None:
        self._text = ""
        self._read = 0
        self._grown = asyncio.Event()
        self._has_room = asyncio.Event()
        self._writing = asyncio.create_task(self._write(deltas))
        self._writing.add_done_callback(self._end)

    @property
    def text(self) -> str:
        """What is written so far."""
        return self._text

    async def deltas(self, start: int = 0) -> AsyncIterator[str]:
        """Yield the text from a character on, as it is written; raises what the writing raised."""
        position = start
        while True:
            if position < len(self._text):
                delta = self._text[position:]
                position = self._read = len(self._text)
                self._has_room.set()
                yield delta
            elif self._writing.done():
                self._writing.result()
                return
            else:
                self._grown.clear()
                await self._grown.wait()

    def drop(self) -> None:
        """Write no further: the model is let go in a moment."""
        self._writing.cancel()

    async def close(self) -> None:
        """Write no further, and wait until the model has been let go."""
        self.drop()
        await asyncio.wait({self._writing})

    def _end(self, writing: asyncio.Task[None]) -> None:
        if not writing.cancelled():
            writing.exception()  # Nobody may read as far as to what went wrong.
        self._grown.set()

    async def _write(self, deltas: AsyncIterator[str]) -> None:
        async with closing(deltas):
            async for delta in deltas:
                self._text += delta
                self._grown.set()
                while len(self._text) - self._read > AHEAD_CHARACTERS:
                    self._has_room.clear()
                    await self._has_room.wait()
