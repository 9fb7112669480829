"""Kills and pauses of processes at random moments."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from bench.chaos.cluster import Cluster

LEASE_S = 4.0
_PAUSE_S = LEASE_S + 2.0
_PAUSE_SHARE = 0.1
_GAP_S = 1.0
_AWAY_S = 2.0
_AWAY_AT_ONCE = 2
_WEIGHTS = {"engine": 0.3, "postgres": 0.3}
"""What ends all calls at once comes less often, so that there are calls to end."""


@dataclass(slots=True, kw_only=True)
class Toll:
    """What was done."""

    kills: Counter[str] = field(default_factory=Counter)
    pauses: Counter[str] = field(default_factory=Counter)
    restarts_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By process, from a kill until it was ready again."""


async def assault(cluster: Cluster, *, kills: int, rng: random.Random) -> Toll:
    """Kill so many processes, and pause some; returns when all are ready again."""
    toll = Toll()
    places = asyncio.Semaphore(_AWAY_AT_ONCE)
    hit: set[str] = set()

    async def kill(name: str, away_s: float) -> None:
        killed_at = time.monotonic()
        await cluster.kill(name)
        toll.kills[name] += 1
        await asyncio.sleep(away_s)
        await cluster.start(name)
        toll.restarts_s[name].append(time.monotonic() - killed_at)

    async def pause(name: str) -> None:
        await cluster.pause(name, _PAUSE_S)
        toll.pauses[name] += 1

    async def strike(name: str, away_s: float | None) -> None:
        try:
            await (pause(name) if away_s is None else kill(name, away_s))
        finally:
            hit.discard(name)
            places.release()

    async with asyncio.TaskGroup() as group:
        for _ in range(kills):
            while True:
                await asyncio.sleep(rng.expovariate(1 / _GAP_S))
                await places.acquire()
                free = [name for name in cluster.names if name not in hit]
                name = rng.choices(free, [_WEIGHTS.get(each, 1.0) for each in free])[0]
                hit.add(name)
                is_pause = rng.random() < _PAUSE_SHARE
                group.create_task(strike(name, None if is_pause else rng.uniform(0, _AWAY_S)))
                if not is_pause:
                    break
    return toll
