"""Simulated time: coroutines, the product's own among them, on a loop whose clock jumps."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from tests.support.virtual_time import VirtualTimeLoop


class Simulation:
    """A clock and its dice: the same seed gives the same run."""

    def __init__(self, *, seed: int) -> None:
        self.dice = random.Random(seed)
        self._loop = VirtualTimeLoop()
        self._running: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """Return the seconds since the run began."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside all others; it may wait for simulated time and nothing else."""
        self._running.add(self._loop.create_task(work))

    def signal(self) -> "Signal":
        """Return something that happens once."""
        return Signal()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine and everything that it begins, until nothing is left to happen."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_over(work))

    async def _until_over(self, work: Coroutine[Any, Any, None]) -> None:
        self.begin(work)
        while self._running:
            over, _ = await asyncio.wait(self._running)
            self._running -= over
            for each in over:
                each.result()


class Signal:
    """Happens once, for all who wait."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def give(self) -> None:
        """Let it happen."""
        self._event.set()

    async def wait(self) -> None:
        """Wait for it."""
        await self._event.wait()

    async def wait_for(self, seconds: float) -> bool:
        """Wait at most so long, and return whether it has happened."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True
