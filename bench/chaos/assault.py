"""Kills and pauses of processes at random moments."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from bench.chaos.cluster import Cluster
from services.task.ports.replicas import LEASE_S

_PAUSE_S = LEASE_S + 2.0
_PAUSE_SHARE = 0.1
_GAP_S = 2.4
"""Between two blows at a service of one replica; where there are more, blows are more frequent."""
_AWAY_S = 2.0
_AGAIN_SHARE = 0.15
"""Of the killed processes that are killed again while they start."""
_AGAIN_S = 2.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blow:
    """How long a killed process stays away, and when it is killed again after that, if at all."""

    away_s: float
    again_s: float | None

    @property
    def kills(self) -> int:
        """How often it is killed."""
        return 1 if self.again_s is None else 2


async def assault(cluster: Cluster, *, kills: int, rng: random.Random) -> Toll:
    """Kill so many processes, and pause some; returns when all are ready again."""
    toll = Toll()
    gap_s = _GAP_S / max(1, len(cluster.gateways))
    places = asyncio.Semaphore(_AWAY_AT_ONCE)
    hit: set[str] = set()

    async def kill(name: str, blow: _Blow) -> None:
        killed_at = time.monotonic()
        await _kill(name)
        await asyncio.sleep(blow.away_s)
        if blow.again_s is not None:
            await cluster.launch(name)
            await asyncio.sleep(blow.again_s)
            await _kill(name)
        await cluster.start(name)
        toll.restarts_s[name].append(time.monotonic() - killed_at)

    async def _kill(name: str) -> None:
        await cluster.kill(name)
        toll.kills[name] += 1

    async def pause(name: str) -> None:
        await cluster.pause(name, _PAUSE_S)
        toll.pauses[name] += 1

    async def strike(name: str, blow: _Blow | None) -> None:
        try:
            await (pause(name) if blow is None else kill(name, blow))
        finally:
            hit.discard(name)
            places.release()

    async with asyncio.TaskGroup() as group:
        planned = 0
        while planned < kills:
            await asyncio.sleep(rng.expovariate(1 / gap_s))
            await places.acquire()
            free = [name for name in cluster.names if name not in hit]
            name = rng.choices(free, [_WEIGHTS.get(each, 1.0) for each in free])[0]
            hit.add(name)
            blow = _draw(rng, left=kills - planned)
            planned += blow.kills if blow else 0
            group.create_task(strike(name, blow))
    return toll


def _draw(rng: random.Random, *, left: int) -> _Blow | None:
    """Return how to kill a process, or None to pause it."""
    if rng.random() < _PAUSE_SHARE:
        return None
    away_s = rng.uniform(0, _AWAY_S)
    is_double = rng.random() < _AGAIN_SHARE and left > 1
    return _Blow(away_s=away_s, again_s=rng.uniform(0, _AGAIN_S) if is_double else None)
