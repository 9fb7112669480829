"""The time of day without jumps, so that durations within a process can be measured in it."""

import asyncio
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

JUMP_S = 1.0
CHECKED_EVERY_S = 10.0


def since_boot() -> float:
    """Return seconds since the machine booted, including sleep where the system counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class SteadyClock:
    """Unix time as of the start of the process, advancing steadily from there.

    An administrator or a time server may set the wall clock by an hour in the middle of a call: no
    duration must change because of that.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,  # noqa: TID251
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self.offset_s = wall() - steady()
        """The difference to the steady clock."""

    def time(self) -> float:
        """Return Unix seconds."""
        return self.offset_s + self._steady()

    @property
    def jumped_s(self) -> float:
        """How far the wall clock was set forward since the process started."""
        return self._wall() - self.time()


_PROCESS = SteadyClock()


def steady_time() -> float:
    """Return Unix seconds as of the start of this process, advancing steadily from there."""
    return _PROCESS.time()


async def log_jumps(clock: SteadyClock) -> None:
    """Log when the wall clock is set, until cancelled."""
    known_s = 0.0
    while True:
        await asyncio.sleep(CHECKED_EVERY_S)
        jumped_s = clock.jumped_s
        if abs(jumped_s - known_s) > JUMP_S:
            log.warning("THE WALL CLOCK WAS SET; durations go on", by_s=round(jumped_s - known_s))
            known_s = jumped_s
