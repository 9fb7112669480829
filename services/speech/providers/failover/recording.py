"""The audio of an utterance, kept until its transcript is final, for whoever hears it again."""

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
    """Hears a source once and lets one reader at a time hear all of it from the beginning."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._pieces: list[bytes] = []
        self._size = 0
        self._coming: asyncio.Future[bytes | None] | None = None
        self._is_over = False

    @classmethod
    @asynccontextmanager
    async def of(cls, source: AsyncIterator[bytes]) -> AsyncIterator[Self]:
        """A recording that closes its source at the end of the block."""
        recording = cls(source)
        async with closing(source):
            try:
                yield recording
            finally:
                await recording._abandon()

    async def replay(self, on_over: Callable[[], None]) -> AsyncIterator[bytes]:
        """Yield what was heard and then what comes; `on_over` is called when nothing will.

        Raises what the source raises, and ServiceError when it is too long.
        """
        at = 0
        while True:
            while at < len(self._pieces):
                at += 1
                yield self._pieces[at - 1]
            if self._is_over:
                break
            await self._hear()
        on_over()

    async def _hear(self) -> None:
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._source, None))
        # A reader that is given up while it waits must not take the source along.
        await asyncio.wait({self._coming})
        coming, self._coming = self._coming, None
        piece = coming.result()
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
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})
