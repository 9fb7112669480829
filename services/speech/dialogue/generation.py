"""The generation of a reply's text in a task of its own: it may outlive the turn that it is for."""

import asyncio
from collections.abc import AsyncIterator

from services.speech.streams import closing
from services.speech.tools.calls import ReplyCalls

AHEAD_CHARACTERS = 2_000
"""How far the generation may be ahead of its reader."""


class Generation:
    """The text stays readable: for its turn, and for one that resumes the reply.

    Not a BoundedQueue: what was read is kept, and may be read again from any character on.
    """

    def __init__(self, deltas: AsyncIterator[str], calls: ReplyCalls) -> None:
        self.calls = calls
        """What is done for it, while a turn permits it."""
        self._deltas = deltas
        self._text = ""
        self._read = 0
        self._begun = asyncio.Event()
        self._grown = asyncio.Event()
        self._has_room = asyncio.Event()
        self._generating: asyncio.Task[None] | None = None

    def begin(self) -> asyncio.Task[None]:
        """Generate ahead of the first reader; without that, the first reader begins."""
        if self._generating is None:
            self._generating = asyncio.create_task(self._generate())
            self._generating.add_done_callback(self._end)
        return self._generating

    async def is_begun(self) -> bool:
        """Wait for the first word of the model, which may still be checked; False if none comes."""
        generating = self.begin()
        await self._begun.wait()
        return bool(self._text) or not generating.done()

    async def deltas(self, start: int = 0) -> AsyncIterator[str]:
        """Yield the text from a character on, as it grows; raises what the generation raised."""
        generating = self.begin()
        position = start
        while True:
            if position < len(self._text):
                delta = self._text[position:]
                position = self._read = len(self._text)
                self._has_room.set()
                yield delta
            elif generating.done():
                generating.result()
                return
            else:
                self._grown.clear()
                await self._grown.wait()

    def cancel(self) -> None:
        """Generate no further: the model is released in a moment."""
        if self._generating is not None:
            self._generating.cancel()

    async def close(self) -> None:
        """Generate no further, and wait until the model has been released."""
        self.cancel()
        if self._generating is not None:
            await asyncio.wait({self._generating})

    def _end(self, generating: asyncio.Task[None]) -> None:
        if not generating.cancelled():
            generating.exception()  # The reader may stop before it comes to the error.
        self._begun.set()
        self._grown.set()

    async def _generate(self) -> None:
        async with closing(self._deltas):
            async for delta in self._deltas:
                self._text += delta
                self._begun.set()
                self._grown.set()
                while len(self._text) - self._read > AHEAD_CHARACTERS:
                    self._has_room.clear()
                    await self._has_room.wait()
