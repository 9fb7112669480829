"""A run: inputs of all levels against all processes, and what must hold throughout."""

import asyncio
import json
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.chaos.cluster import Cluster
from bench.fuzz.findings import Findings
from bench.fuzz.levels import http
from bench.fuzz.levels.bulk import BULK
from bench.fuzz.levels.frames import FRAMES
from bench.fuzz.levels.messages import MESSAGES
from bench.fuzz.levels.socket import SOCKET, WEBM
from bench.fuzz.levels.tokens import TOKENS
from bench.fuzz.levels.uploads import MEDIA, MULTIPART
from bench.fuzz.levels.wire import WIRE
from bench.fuzz.target import Target, under_fire

LEVELS = (WIRE, FRAMES, MESSAGES, SOCKET, WEBM, MULTIPART, TOKENS, MEDIA, BULK)
NAMES = (*(each.name for each in LEVELS), http.NAME)
LEVELS_BY_NAME = {each.name: each for each in LEVELS}
LATE_MS = 250.0
ROUNDS = 10
"""Each has the same share of all levels."""
WARM_UP_ROUNDS = 2
"""After these, memory should no longer grow."""
GROWN_MB = 64.0
YIELDING = 10
ASKED_EVERY_S = {True: 0.02, False: 0.5}
"""How often another client asks: often where it is measured how long it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many inputs, of which levels; all that is random follows from the seed."""

    inputs: int
    seed: int
    levels: Collection[str] = NAMES
    number: int | None = None
    """The only input to fire of each level."""
    seconds: float = 86_400.0
    """After this long no other round begins."""


@dataclass(slots=True)
class _Memory:
    """Resident megabytes of each process, when warm and at the end."""

    warm: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)

    def grown(self) -> dict[str, float]:
        lasting = self.warm.keys() & self.final.keys()
        return {name: round(self.final[name] - self.warm[name], 1) for name in sorted(lasting)}


async def fuzz(plan: Plan) -> dict[str, Any]:
    """Run the plan against all processes, measure others' waits, and return its figures."""
    async with under_fire(plan.seed) as target:
        return await attacked(target, plan, Findings(), is_timed=True)


async def attacked(
    target: Target, plan: Plan, findings: Findings, *, is_timed: bool
) -> dict[str, Any]:
    """Run the plan to its end, or until a process ends by itself, and return the figures.

    `is_timed`: other clients may not wait long.
    """
    memory = _Memory()
    seconds: dict[str, float] = defaultdict(float)
    begun = time.monotonic()
    async with _watched(target, every_s=ASKED_EVERY_S[is_timed]) as waits:
        if is_timed:
            # Others are measured: from here on they go first.
            os.nice(YIELDING)
        await _while_all_run(target.cluster, _rounds(plan, target, findings, seconds, memory))
        memory.final = _resident(target.cluster)
    faults = [*target.cluster.faults, *target.cluster.ended()]
    return {
        "inputs": sum(each.total() for each in findings.outcomes.values()),
        "seconds": round(time.monotonic() - begun, 1),
        "seconds_by_level": {level: round(each, 1) for level, each in seconds.items()},
        "broken": [*faults, *_late(waits, is_timed=is_timed), *_grown(memory)],
        **findings.figures(),
        "others_waited": waits,
        "memory_mb": {"warm": memory.warm, "final": memory.final},
    }


async def _while_all_run(cluster: Cluster, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, or break it off when a process ends by itself: most inputs would find nobody."""
    working = asyncio.create_task(work)
    ending = asyncio.create_task(cluster.until_one_ended())
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if working.done() or not cluster.ended():
            await working
    finally:
        working.cancel()
        ending.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


async def _rounds(
    plan: Plan, target: Target, findings: Findings, seconds: dict[str, float], memory: _Memory
) -> None:
    begun = time.monotonic()
    for number in range(ROUNDS):
        if number == WARM_UP_ROUNDS:
            memory.warm = _resident(target.cluster)
        if time.monotonic() - begun > plan.seconds:
            break
        await _attack(plan, target, findings, seconds, number)


async def _attack(
    plan: Plan, target: Target, findings: Findings, seconds: dict[str, float], number: int
) -> None:
    """Fire the inputs of one round, level by level."""
    shares = {each.name: each.share for each in LEVELS} | {http.NAME: http.SHARE}
    total = sum(shares[name] for name in plan.levels)
    for name in plan.levels:
        begun = time.monotonic()
        each = plan.inputs * shares[name] / total / ROUNDS
        numbers = range(math.ceil(number * each), math.ceil((number + 1) * each))
        if name == http.NAME:
            seed = plan.seed + number
            await http.attack(target, findings, seed=seed, count=len(numbers))
        else:
            if plan.number is not None:
                numbers = range(plan.number, plan.number + (number == 0))
            await LEVELS_BY_NAME[name].attack(target, findings, seed=plan.seed, numbers=numbers)
        seconds[name] += time.monotonic() - begun


def _late(waits: dict[str, Any], *, is_timed: bool) -> list[str]:
    """Return who let others wait, beyond what the machine did."""
    late = [
        f"{address} answered after {wait['longest_ms']} ms"
        for address, wait in waits.items()
        if is_timed and (wait["longest_beyond_the_machine_ms"] or 0) >= LATE_MS
    ]
    return late + [
        f"{address} did not answer" for address, wait in waits.items() if wait["unanswered"]
    ]


def _grown(memory: _Memory) -> list[str]:
    return [f"{name} grew by {mb} MB" for name, mb in memory.grown().items() if mb > GROWN_MB]


@asynccontextmanager
async def _watched(target: Target, *, every_s: float) -> AsyncIterator[dict[str, Any]]:
    """Have another client ask all the while; its figures are there when the block is left."""
    bare = await _started("bench.fuzz.bare")
    assert bare.stdout is not None
    address = (await bare.stdout.readline()).decode().strip()
    addresses = (address, f"{target.gateway}/livez", f"{target.engine}/healthz")
    asking = await _started("bench.fuzz.watch", str(every_s), *addresses)
    waits: dict[str, Any] = {}
    try:
        yield waits
    finally:
        told, _ = await asking.communicate(b"")
        await bare.communicate(b"")
        waits |= json.loads(told)


async def _started(module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


def _resident(cluster: Cluster) -> dict[str, float]:
    """Return the megabytes of each process that runs, with its children."""
    held = {}
    for name in cluster.names:
        if pid := cluster.pid(name):
            # What has just ended has no figure.
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                family = [process, *process.children(recursive=True)]
                held[name] = round(sum(map(_rss, family)) / 2**20, 1)
    return held


def _rss(process: psutil.Process) -> int:
    try:
        rss: int = process.memory_info().rss
    except psutil.NoSuchProcess:
        # A child that has just done its work.
        return 0
    return rss
