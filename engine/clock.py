"""The time that rules and deadlines refer to, as a port so that tests can move it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time, and waiting; the 20 ms playout clock is another one."""

    def time(self) -> float:
        """Unix time in seconds."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until the event is set, at most `seconds`; return whether it is set."""


def steady_time(clock: Clock) -> Callable[[], float]:
    """Return a Unix time that advances steadily even if the wall clock is set."""
    offset = clock.time() - clock.monotonic()
    return lambda: offset + clock.monotonic()


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        return time.time()  # noqa: TID251  # the port is the wall clock

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await event.wait()
        return event.is_set()
