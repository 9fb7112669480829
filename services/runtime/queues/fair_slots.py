"""Places of work that flows take in turn, however much one of them asks for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from services.runtime.queues.fair_queue import FairQueue


class FairSlots:
    """A semaphore whose free places go to the waiting flows in turn (see FairQueue)."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def place(self, *flow: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it for the block."""
        await self._take(flow)
        try:
            yield
        finally:
            self._pass_on()

    def ahead_of(self, *flow: str) -> int:
        """Return how many of those that wait would get a place before the flow."""
        return self._waiting.ahead_of(flow)

    async def _take(self, flow: Sequence[str]) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(place, flow)
        if self._free:
            # Then nobody else waits.
            self._free -= 1
            self._waiting.take()
            return
        try:
            await place
        except asyncio.CancelledError:
            self._waiting.remove(place, flow)
            if not place.cancelled():
                # It was given the place in the same moment.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the place to the flow whose turn it is."""
        while self._waiting:
            place = self._waiting.take()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
