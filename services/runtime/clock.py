"""The time of day without its jumps: what durations within a process may be counted in."""

import asyncio
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

JUMP_S = 1.0
CHECKED_EVERY_S = 10.0


def since_boot() -> float:
    """Seconds since the machine was started, its sleep included where the system counts that."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class SteadyClock:
    """Unix time as it was when the process began, going on evenly from there.

    An administrator, or a time server, may set the wall clock by an hour in the middle of a call:
    nothing lasts an hour longer for that.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self.offset_s = wall() - steady()
        """What is added to the steady clock's time."""

    def time(self) -> float:
        """Unix seconds."""
        return self.offset_s + self._steady()

    @property
    def jumped_s(self) -> float:
        """How far the wall clock was set forward since the process began."""
        return self._wall() - self.time()


async def tell_of_jumps(clock: SteadyClock) -> None:
    """Say so when the wall clock is set, until cancelled."""
    known_s = 0.0
    while True:
        await asyncio.sleep(CHECKED_EVERY_S)
        jumped_s = clock.jumped_s
        if abs(jumped_s - known_s) > JUMP_S:
            log.warning("THE WALL CLOCK WAS SET; durations go on", by_s=round(jumped_s - known_s))
            known_s = jumped_s
