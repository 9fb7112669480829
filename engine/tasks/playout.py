"""The one 20 ms clock of the process: every stage plays by it, sound and picture alike."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import structlog

from engine.admission import Tally
from engine.audio.sound import TICK_S

# Later than this, ticks are left out instead of being caught up in a burst.
MAX_LAG_S = 0.1
# A tick that is later than this is told as late: no viewer notices yet, but the next may be worse.
LATE_S = 0.02

log = structlog.get_logger()


class Ticking(Protocol):
    """What plays by the clock."""

    def tick(self, index: int) -> None:
        """Play the 20 ms with this index; must be quick and may not block."""


class PlayoutClock:
    """Ticks all that joined; indices are those of real time, so a late process skips some."""

    def __init__(self) -> None:
        self.skipped_ticks = 0
        self._ticks = 0
        self._late_ticks = 0
        self._joined: set[Ticking] = set()
        self._anyone = asyncio.Event()

    @contextmanager
    def driving(self, ticking: Ticking) -> Iterator[None]:
        """Tick something for a while."""
        self._joined.add(ticking)
        self._anyone.set()
        try:
            yield
        finally:
            self._joined.discard(ticking)
            if not self._joined:
                self._anyone.clear()

    def tally(self) -> Tally:
        """The ticks so far; those that were left out are late ones too."""
        return Tally(
            done=self._ticks + self.skipped_ticks, late=self._late_ticks + self.skipped_ticks
        )

    async def run(self) -> None:
        """Tick until cancelled; sleeps while nobody has joined."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        index = 0
        while True:
            if not self._joined:
                await self._anyone.wait()
                index = max(index, int((loop.time() - start) / TICK_S))
            index += 1
            lag = loop.time() - (start + index * TICK_S)
            if lag > MAX_LAG_S:
                missed = int(lag / TICK_S)
                index += missed
                self.skipped_ticks += missed
            await asyncio.sleep(max(-lag, 0.0))
            self._ticks += 1
            self._late_ticks += loop.time() - (start + index * TICK_S) > LATE_S
            for ticking in tuple(self._joined):
                self._tick(ticking, index)

    def _tick(self, ticking: Ticking, index: int) -> None:
        try:
            ticking.tick(index)
        except Exception:
            # One broken stage may not stop the clock of all others.
            log.exception("tick failed", index=index)
            self._joined.discard(ticking)


@asynccontextmanager
async def running_playout_clock() -> AsyncIterator[PlayoutClock]:
    """A clock that ticks until the end of the context."""
    playout_clock = PlayoutClock()
    task = asyncio.create_task(playout_clock.run())
    try:
        yield playout_clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
