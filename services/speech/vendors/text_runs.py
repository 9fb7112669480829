"""The texts of a reply in runs between long pauses, for vendors whose sessions need texts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from services.speech.streams import closing


class TextRuns:
    """Divides texts where none comes for so long, such as while a tool works."""

    def __init__(self, texts: AsyncIterator[str], pause_s: float) -> None:
        self._texts = texts
        self._pause_s = pause_s
        self._next: asyncio.Task[str | None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, texts: AsyncIterator[str], *, pause_s: float) -> AsyncIterator[Self]:
        """The runs of texts, which are closed at the end."""
        runs = cls(texts, pause_s)
        async with closing(texts):
            try:
                yield runs
            finally:
                if runs._next is not None:
                    runs._next.cancel()
                    await asyncio.gather(runs._next, return_exceptions=True)

    async def run(self) -> AsyncIterator[str]:
        """Yield texts until a pause or the end."""
        while True:
            following = self._following()
            await asyncio.wait({following}, timeout=self._pause_s)
            if not following.done() or (text := following.result()) is None:
                return
            self._next = None
            yield text

    async def has_more(self) -> bool:
        """Wait for another text, and return whether there is one."""
        return await self._following() is not None

    def _following(self) -> "asyncio.Task[str | None]":
        if self._next is None:
            self._next = asyncio.create_task(self._take())
        return self._next

    async def _take(self) -> str | None:
        return await anext(self._texts, None)
