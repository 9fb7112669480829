"""Places of work that callers take in turn, however much one of them asks for."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """A semaphore whose free places go to the waiting callers in turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it for the block."""
        await self._take(caller)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, caller: str) -> None:
        if self._free:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._forget(caller, place)
            else:
                # It was given the place in the same moment.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the place to the caller whose turn it is, who is then the last in line."""
        if not self._waiting:
            self._free += 1
            return
        caller, places = self._waiting.popitem(last=False)
        place = places.popleft()
        if places:
            self._waiting[caller] = places
        if place.done():
            self._pass_on()
        else:
            place.set_result(None)

    def _forget(self, caller: str, place: asyncio.Future[None]) -> None:
        places = self._waiting.get(caller)
        if places is None or place not in places:
            return
        places.remove(place)
        if not places:
            del self._waiting[caller]
