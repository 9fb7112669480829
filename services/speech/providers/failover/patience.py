"""How long a provider may take, from the moment on in which it has what it needs."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from services.speech.streams import closing

T = TypeVar("T")


class Patience:
    """Time begins to count when `begin` is called, and ends to count at `end`."""

    def __init__(self, within_s: float | None) -> None:
        self._later_s = within_s
        self._within_s: float | None = None
        self._limit: asyncio.Timeout | None = None

    def begin(self) -> None:
        """The provider can answer."""
        self._within_s = self._later_s
        if self._limit is not None and self._within_s is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._within_s)

    def end(self) -> None:
        """The provider has answered: it may take any time for the rest."""
        self._later_s = self._within_s = None

    async def apply(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield the same items; raises TimeoutError when one is late."""
        async with closing(items):
            while True:
                try:
                    async with asyncio.timeout(self._within_s) as self._limit:
                        item = await anext(items)
                except StopAsyncIteration:
                    return
                finally:
                    self._limit = None
                yield item
