"""The time that rules and deadlines are measured with, as a port so that tests can move it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time, and waiting; the 20 ms clock of the media is not this one."""

    def time(self) -> float:
        """Unix time in seconds."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until the event is set, at most for some seconds; tell whether it is set."""


def steady_time(clock: Clock) -> Callable[[], float]:
    """Return Unix time as it is now, going on evenly even if the wall clock is set."""
    offset = clock.time() - clock.monotonic()
    return lambda: offset + clock.monotonic()


class SystemClock:
    """The clock of the machine."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await event.wait()
        return event.is_set()
