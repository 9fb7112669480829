"""Simulated time: coroutines, the product's own among them, that wait on SimPy's clock."""

import random
from collections.abc import Coroutine, Generator
from typing import Any

import simpy


class Simulation:
    """A clock and its dice: the same seed gives the same run."""

    def __init__(self, *, seed: int) -> None:
        self.dice = random.Random(seed)
        self._environment = simpy.Environment()

    def now(self) -> float:
        """Return the seconds since the run began."""
        return float(self._environment.now)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await _Occurrence(self._environment.timeout(seconds))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside all others; it may wait for simulated time and nothing else."""
        self._environment.process(_steps(work))

    def signal(self) -> "Signal":
        """Return something that happens once."""
        return Signal(self._environment)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine and everything that it begins, until nothing is left to happen."""
        self.begin(work)
        self._environment.run()


class Signal:
    """Happens once, for all who wait."""

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._event = environment.event()

    def give(self) -> None:
        """Let it happen."""
        self._event.succeed()

    async def wait(self) -> None:
        """Wait for it."""
        await _Occurrence(self._event)

    async def wait_for(self, seconds: float) -> bool:
        """Wait at most so long, and return whether it has happened."""
        await _Occurrence(self._event | self._environment.timeout(seconds))
        return self._event.triggered


class _Occurrence:
    """A SimPy event that a coroutine can await."""

    def __init__(self, event: simpy.Event) -> None:
        self._event = event

    def __await__(self) -> Generator[simpy.Event, Any, Any]:
        return (yield self._event)


def _steps(work: Coroutine[Any, Any, None]) -> Generator[simpy.Event, Any, None]:
    yield from work.__await__()
