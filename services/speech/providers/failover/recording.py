"""The audio of an utterance, kept until its transcript is final, so that it can be replayed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

from services.runtime.errors import refused
from services.runtime.pcm import duration_s
from services.runtime.reasons import Reason
from services.speech.ports import LISTENING_RATE_HERTZ
from services.speech.streams import closing

LONGEST_S = 120.0
"""More than any utterance may be; it bounds the memory that one takes (4 MB)."""


class Recording:
    """Reads a source once, and lets one reader at a time have all of it from the beginning."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._pieces: list[bytes] = []
        self._size = 0
        self._reading: asyncio.Future[bytes | None] | None = None
        self._is_over = False

    @classmethod
    @asynccontextmanager
    async def of(cls, source: AsyncIterator[bytes]) -> AsyncIterator[Self]:
        """A recording that closes its source when the context is left."""
        recording = cls(source)
        async with closing(source):
            try:
                yield recording
            finally:
                await recording._abandon()

    async def replay(self, on_over: Callable[[], None]) -> AsyncIterator[bytes]:
        """Yield what was recorded, then what follows; `on_over` is called at the end of the audio.

        Raises what the source raises, and ServiceError when the audio is too long.
        """
        at = 0
        while True:
            while at < len(self._pieces):
                at += 1
                yield self._pieces[at - 1]
            if self._is_over:
                break
            await self._read()
        on_over()

    async def _read(self) -> None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(anext(self._source, None))
        # A reader that is cancelled while waiting must not cancel the source.
        await asyncio.wait({self._reading})
        reading, self._reading = self._reading, None
        piece = reading.result()
        if piece is None:
            self._is_over = True
            return
        self._size += len(piece)
        if duration_s(self._size, LISTENING_RATE_HERTZ) > LONGEST_S:
            raise refused(
                Reason.AUDIO_TOO_LONG,
                "audio.pcm",
                "max_duration",
                f"an utterance is at most {LONGEST_S:g} seconds long",
            )
        self._pieces.append(piece)

    async def _abandon(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
