"""The one 20 ms clock of the process, which drives the sound and picture of every stage."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import structlog

from engine.admission import Tally
from engine.audio.sound import TICK_S

# Beyond this delay, ticks are skipped instead of being caught up in a burst.
MAX_LAG_S = 0.1
# A tick later than this counts as late: no viewer notices yet, but the next may be worse.
LATE_S = 0.02

log = structlog.get_logger()


class Ticking(Protocol):
    """Something that the clock drives."""

    def tick(self, index: int) -> None:
        """Play the 20 ms with this index; must be quick and must not block."""


class PlayoutClock:
    """Drives all that joined; indices follow real time, so a late process skips some."""

    def __init__(self) -> None:
        self.skipped_ticks = 0
        self._ticks = 0
        self._late_ticks = 0
        self._joined: set[Ticking] = set()
        self._anyone = asyncio.Event()

    @contextmanager
    def driving(self, ticking: Ticking) -> Iterator[None]:
        """Drive something while the block is open."""
        self._joined.add(ticking)
        self._anyone.set()
        try:
            yield
        finally:
            self._joined.discard(ticking)
            if not self._joined:
                self._anyone.clear()

    def tally(self) -> Tally:
        """Return the ticks so far; skipped ones count as late."""
        return Tally(
            done=self._ticks + self.skipped_ticks, late=self._late_ticks + self.skipped_ticks
        )

    async def run(self) -> None:
        """Tick until cancelled; sleeps while there is nothing to drive."""
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
            # One broken stage must not stop the clock of all others.
            log.exception("tick failed", index=index)
            self._joined.discard(ticking)


@asynccontextmanager
async def running_playout_clock() -> AsyncIterator[PlayoutClock]:
    """Run a clock until the end of the context."""
    playout_clock = PlayoutClock()
    task = asyncio.create_task(playout_clock.run())
    try:
        yield playout_clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
