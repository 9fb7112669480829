"""One run: users and an assault on the processes at once, and then the verdict."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench.chaos.account import Account
from bench.chaos.assault import Toll, assault
from bench.chaos.cluster import Cluster, Server, running_cluster
from bench.chaos.users import make_users
from bench.chaos.verdict import Judge, Verdict, measuring_leaks

_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of."""

    replicas: int
    kills: int
    users: int
    seed: int
    lost_share: float


async def run(plan: Plan, server: Server | None) -> dict[str, Any]:
    """Run and return figures; `violations` is empty where everything held."""
    account = Account()
    async with AsyncExitStack() as life:
        cluster = await life.enter_async_context(
            running_cluster(
                replicas=plan.replicas,
                server=server,
                lost_share=plan.lost_share,
                seed=plan.seed,
            )
        )
        meter = await life.enter_async_context(measuring_leaks(cluster, account))
        toll = await _endure(plan, cluster, account)
        verdict = await Judge(cluster, account).judge()
        verdict.leaked_s = meter.leaked_s
        faults = cluster.faults()
    return _figures(account, toll, verdict, faults)


async def _endure(plan: Plan, cluster: Cluster, account: Account) -> Toll:
    users, http = make_users(
        plan.users,
        gateways=cluster.gateways,
        account=account,
        lost_share=plan.lost_share,
        seed=plan.seed,
    )
    async with http, asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(user.run())
        toll = await assault(cluster, kills=plan.kills, rng=random.Random(f"blows {plan.seed}"))
        for user in users:
            user.go()
    return toll


def _figures(
    account: Account, toll: Toll, verdict: Verdict, faults: Sequence[str]
) -> dict[str, Any]:
    return {
        "kills": dict(sorted(toll.kills.items())),
        "pauses": dict(sorted(toll.pauses.items())),
        "tasks": len(account.tasks),
        "turns_acknowledged": verdict.turns,
        "events_on_record": verdict.events,
        "events_seen": len(account.events),
        "missing": verdict.missing,
        "doubles": verdict.doubles,
        "leaked_avatar_s": round(verdict.leaked_s, 1),
        "longest_stuck_s": round(verdict.converged_s, 1),
        "outage_s": percentiles(account.outages_s),
        "restart_s": percentiles(toll.restarts_s),
        "answers": dict(sorted(account.answers.items())),
        "given_up": account.given_up,
        "faults_logged": list(faults[:_SHOWN]),
        "violations": verdict.violations[:_SHOWN],
    }


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
