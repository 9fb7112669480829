"""A level: one kind of input, of which any number can be made."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bench.fuzz.findings import Findings
from bench.fuzz.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One input: its level, its number there, and what it is drawn from."""

    level: str
    number: int
    draw: random.Random


Fire = Callable[[Target, Shot, Findings], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One kind of input; `share` is its weight among all, `at_once` how many are under way."""

    name: str
    share: float
    fire: Fire
    at_once: int = 16

    async def attack(
        self, target: Target, findings: Findings, *, seed: int, numbers: Iterable[int]
    ) -> None:
        """Fire the inputs of these numbers; each depends on the seed and its number alone."""
        left = iter(numbers)

        async def work() -> None:
            own = asyncio.current_task()
            assert own is not None
            for number in left:
                # Cancelled as a call failed: grpc.aio takes that for the call's own end.
                if own.cancelling():
                    break
                draw = random.Random(f"{seed} {self.name} {number}")
                await self.fire(target, Shot(level=self.name, number=number, draw=draw), findings)

        async with asyncio.TaskGroup() as workers:
            for _ in range(self.at_once):
                workers.create_task(work())
