"""One run: users, and what is done to the processes meanwhile, and then the verdict."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

from bench.chaos.account import Account
from bench.chaos.assault import Toll, assault
from bench.chaos.cluster import LIGHT_SPEECH, UNFAITHFUL, Cluster, running_cluster
from bench.chaos.lossy_proxy import UNRELIABLE, Losses
from bench.chaos.postgres import KillableServer
from bench.chaos.users import CHAOTIC, PATIENT, Manners, make_users
from bench.chaos.verdict import Judge, Verdict, measuring_leaks
from services.runtime.channels.channel import connected

_SHOWN = 50

Figures: TypeAlias = dict[str, Any]
Trouble: TypeAlias = Callable[[Cluster], Awaitable[Toll]]
"""What is done to the processes while users talk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of."""

    replicas: int
    users: int
    seed: int


async def chaos(plan: Plan, server: KillableServer | None, *, kills: int) -> Figures:
    """Kill processes; `violations` is empty where everything held."""
    async with _cluster(plan, server) as cluster:
        figures = await kill_processes(plan, cluster, kills=kills)
    return _with_faults(figures, cluster)


async def kill_processes(plan: Plan, cluster: Cluster, *, kills: int) -> Figures:
    """Kill processes of a cluster, whose own `faults` are not among the violations."""

    async def trouble(cluster: Cluster) -> Toll:
        return await assault(cluster, kills=kills, rng=random.Random(f"blows {plan.seed}"))

    with cluster.cloud.losing(Losses(answer=CHAOTIC.losing)):
        account, toll, verdict = await _run(plan, cluster, trouble, CHAOTIC)
    return {
        "kills": dict(sorted(toll.kills.items())),
        "pauses": dict(sorted(toll.pauses.items())),
        **_figures(account, toll, verdict),
        "violations": verdict.violations,
    }


async def rolling(plan: Plan, server: KillableServer | None, *, minutes: float) -> Figures:
    """Restart every replica in turn, once at least; `violations` is empty where nobody noticed."""
    async with _cluster(plan, server) as cluster:
        figures = await roll(plan, cluster, minutes=minutes)
    return _with_faults(figures, cluster)


async def roll(plan: Plan, cluster: Cluster, *, minutes: float, step: int = 1) -> Figures:
    """Restart every replica of a cluster in turn, or every `step`-th, once at least.

    The cluster's own `faults` are not among the violations.
    """

    async def trouble(cluster: Cluster) -> Toll:
        toll = Toll()
        until = time.monotonic() + 60 * minutes
        while not toll.restarts_s or time.monotonic() < until:
            for name in cluster.replicas[::step]:
                stopped_at = time.monotonic()
                await cluster.stop(name)
                await cluster.start(name)
                toll.restarts_s[name].append(time.monotonic() - stopped_at)
        return toll

    account, toll, verdict = await _run(plan, cluster, trouble, PATIENT)
    wrong = [f"{count} × {each}" for each, count in account.failures.items()]
    return {
        "restarts": sum(map(len, toll.restarts_s.values())),
        **_figures(account, toll, verdict),
        "failed_calls": sum(account.failures.values()),
        "violations": [*wrong, *verdict.violations],
    }


async def unfaithful(plan: Plan, server: KillableServer | None, *, minutes: float) -> Figures:
    """Have calls of the journal and the cloud fail; no process is killed."""
    async with _cluster(plan, server, modules=UNFAITHFUL) as cluster:
        figures = await fail_dependencies(plan, cluster, minutes=minutes)
    return _with_faults(figures, cluster)


async def fail_dependencies(plan: Plan, cluster: Cluster, *, minutes: float) -> Figures:
    """Have calls of the cloud fail, of a cluster whose journal is unfaithful.

    The cluster's own `faults` are not among the violations.
    """

    async def trouble(cluster: Cluster) -> Toll:
        await asyncio.sleep(60 * minutes)
        return Toll()

    with cluster.cloud.losing(UNRELIABLE):
        account, toll, verdict = await _run(plan, cluster, trouble, CHAOTIC)
    return {**_figures(account, toll, verdict), "violations": verdict.violations}


def _with_faults(figures: Figures, cluster: Cluster) -> Figures:
    """Return the figures of a cluster that has ended, its faults among the violations."""
    return {**figures, "violations": [*cluster.faults, *figures["violations"]][:_SHOWN]}


def _cluster(
    plan: Plan,
    server: KillableServer | None,
    *,
    modules: Mapping[str, str] = LIGHT_SPEECH,
) -> AbstractAsyncContextManager[Cluster]:
    return running_cluster(
        replicas=plan.replicas,
        database=server.dsn if server else None,
        server=server,
        modules=modules,
        seed=plan.seed,
    )


async def _run(
    plan: Plan, cluster: Cluster, trouble: Trouble, manners: Manners
) -> tuple[Account, Toll, Verdict]:
    account = Account()
    async with measuring_leaks(cluster, account) as meter:
        toll = await _endure(plan, cluster, account, trouble, manners)
        async with connected(cluster.task_targets[0]) as channel:
            verdict = await Judge(cluster, account, channel).judge()
        verdict.leaked_s = meter.leaked_s
        return account, toll, verdict


async def _endure(
    plan: Plan, cluster: Cluster, account: Account, trouble: Trouble, manners: Manners
) -> Toll:
    users, http = make_users(
        plan.users, gateways=[cluster.url], account=account, manners=manners, seed=plan.seed
    )
    async with http, asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(user.run())
        toll = await trouble(cluster)
        for user in users:
            user.go()
    return toll


def _figures(account: Account, toll: Toll, verdict: Verdict) -> Figures:
    return {
        "tasks": len(account.tasks),
        "turns_acknowledged": verdict.turns,
        "events_on_record": verdict.events,
        "events_seen": len(account.events),
        "missing": verdict.missing,
        "doubles": verdict.doubles,
        "taken_back": verdict.taken_back,
        "leaked_avatar_s": round(verdict.leaked_s, 1),
        "longest_stuck_s": round(verdict.converged_s, 1),
        "outage_s": _all_percentiles(account.outages_s),
        "restart_s": _all_percentiles(toll.restarts_s),
        "answers": dict(sorted(account.answers.items())),
        "given_up": account.given_up,
    }


def _all_percentiles(values: Mapping[str, Sequence[float]]) -> Figures:
    return {name: percentiles(each) for name, each in sorted(values.items())}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return how many there are, and the usual percentiles."""
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    at = {
        f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 2)
        for share in (50, 90, 99)
    }
    return {"count": len(ordered), **at, "max": round(ordered[-1], 2)}
