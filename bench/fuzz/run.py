"""A run: inputs of all levels against all processes, and what must hold throughout."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.fuzz.findings import Findings
from bench.fuzz.levels import http
from bench.fuzz.levels.frames import FRAMES
from bench.fuzz.levels.messages import MESSAGES
from bench.fuzz.levels.socket import SOCKET, WEBM
from bench.fuzz.levels.tokens import TOKENS
from bench.fuzz.levels.uploads import MEDIA, MULTIPART
from bench.fuzz.levels.wire import WIRE
from bench.fuzz.target import Target, under_fire

LEVELS = (WIRE, FRAMES, MESSAGES, SOCKET, WEBM, MULTIPART, TOKENS, MEDIA)
NAMES = (*(each.name for each in LEVELS), http.NAME)
LATE_MS = 250.0
WARM_UP = 0.2
"""The part of the inputs after which memory should no longer grow."""
GROWN_MB = 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many inputs, of which levels; all that is random follows from the seed."""

    inputs: int
    seed: int
    levels: Collection[str] = NAMES
    number: int | None = None
    """The only input to fire of each level."""


@dataclass(slots=True)
class _Memory:
    """Resident megabytes of each process, when warm and at the end."""

    warm: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)

    def grown(self) -> dict[str, float]:
        return {name: round(self.final[name] - held, 1) for name, held in self.warm.items()}


async def fuzz(plan: Plan, *, is_timed: bool = True) -> dict[str, Any]:
    """Run the plan and return its figures; `is_timed`: other clients may not wait long."""
    findings = Findings()
    memory = _Memory()
    begun = time.monotonic()
    async with under_fire(plan.seed) as target:
        async with _watched(target) as waits:
            warm_up = int(plan.inputs * WARM_UP)
            await _attack(plan, target, findings, after=0, count=warm_up)
            memory.warm = _resident(target)
            await _attack(plan, target, findings, after=warm_up, count=plan.inputs - warm_up)
            memory.final = _resident(target)
        faults = [*target.cluster.faults, *target.cluster.ended()]
    figures = findings.figures()
    late = [
        f"{address} answered after {wait['longest_ms']} ms"
        for address, wait in waits.items()
        if is_timed and (wait["longest_ms"] or 0) >= LATE_MS
    ]
    late += [f"{address} did not answer" for address, wait in waits.items() if wait["unanswered"]]
    grown = [
        f"{name} grew by {more} MB" for name, more in memory.grown().items() if more > GROWN_MB
    ]
    return {
        "inputs": sum(each.total() for each in findings.outcomes.values()),
        "seconds": round(time.monotonic() - begun, 1),
        "broken": [*faults, *late, *grown],
        **figures,
        "others_waited": waits,
        "memory_mb": {"warm": memory.warm, "final": memory.final},
    }


async def _attack(
    plan: Plan, target: Target, findings: Findings, *, after: int, count: int
) -> None:
    """Fire a part of the inputs, level by level."""
    chosen = [each for each in LEVELS if each.name in plan.levels]
    has_http = http.NAME in plan.levels and plan.number is None
    total = sum(each.share for each in chosen) + (http.SHARE if has_http else 0)
    for level in chosen:
        share = level.share / total
        numbers = range(int(after * share), int((after + count) * share))
        if plan.number is not None:
            numbers = range(plan.number, plan.number + (after == 0))
        await level.attack(target, findings, seed=plan.seed, numbers=numbers)
    if has_http:
        share = int(count * http.SHARE / total)
        await http.attack(target, findings, seed=plan.seed + after, count=share)


@asynccontextmanager
async def _watched(target: Target) -> AsyncIterator[dict[str, Any]]:
    """Have another client ask all the while; its figures are there when the block is left."""
    addresses = (f"{target.gateway}/livez", f"{target.engine}/healthz")
    asking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.fuzz.watch", *addresses),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    waits: dict[str, Any] = {}
    try:
        yield waits
    finally:
        told, _ = await asking.communicate(b"")
        waits |= json.loads(told)


def _resident(target: Target) -> dict[str, float]:
    held = {}
    for name in target.cluster.names:
        process = psutil.Process(target.cluster.pid(name))
        family = [process, *process.children(recursive=True)]
        held[name] = round(sum(each.memory_info().rss for each in family) / 2**20, 1)
    return held
