"""What a storm was like: time to on-air, refusals, fairness, stops."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.scale.users import Experience, Refusal

Figures = dict[str, Any]

SOON_S = 15.0
"""A tenant is served well when its users are on air within this time."""


def storm_figures(experiences: Sequence[Experience]) -> Figures:
    """Return the figures of everybody, and of each tenant where there are several."""
    tenants: defaultdict[str, list[Experience]] = defaultdict(list)
    for experience in experiences:
        tenants[experience.visit.tenant].append(experience)
    figures = _figures(experiences)
    if len(tenants) > 1:
        figures["tenants"] = {name: _figures(each) for name, each in sorted(tenants.items())}
    return figures


def fairness(experiences: Sequence[Experience], *, since: float, until: float) -> float:
    """Return how fairly users who came in a period were put on air within it, at most 1.

    Jain's index of what each tenant got in relation to its max-min fair share of what all got: 1
    when everybody got that, 1/n when one of n tenants got everything.
    """
    wanted: Counter[str] = Counter()
    got: Counter[str] = Counter()
    for each in experiences:
        if since <= each.visit.at < until:
            wanted[each.visit.tenant] += 1
            is_served = each.on_air_s is not None and each.visit.at + each.on_air_s < until
            got[each.visit.tenant] += is_served
    fair = fair_shares(wanted, got.total())
    return _jain([got[tenant] / fair[tenant] for tenant in fair])


def fair_shares(wanted: Mapping[str, int], available: float) -> Mapping[str, float]:
    """Return the max-min fair division: nobody gets more than wanted, the rest get equally much."""
    shares: dict[str, float] = {}
    for tenant in sorted(wanted, key=lambda each: wanted[each]):
        equal = (available - sum(shares.values())) / (len(wanted) - len(shares))
        shares[tenant] = min(wanted[tenant], equal)
    return shares


def _jain(values: Sequence[float]) -> float:
    return float(sum(values) ** 2 / (len(values) * sum(value * value for value in values)))


def spread(seconds: Sequence[float], *, digits: int = 2) -> Figures:
    """Return percentiles of durations, in seconds."""
    if not seconds:
        return {"n": 0}
    ranks = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    found = np.percentile(seconds, list(ranks.values()), method="inverted_cdf")
    return {"n": len(seconds)} | {
        name: round(float(value), digits) for name, value in zip(ranks, found, strict=True)
    }


def _figures(experiences: Sequence[Experience]) -> Figures:
    on_air = [each.on_air_s for each in experiences if each.on_air_s is not None]
    stops = [each.stop_s for each in experiences if each.stop_s is not None]
    refused = [each for each in experiences if each.refusals]
    return {
        "users": len(experiences),
        "on_air_s": spread(on_air),
        "on_air_within_15_s_share": round(_soon_share(experiences), 3),
        "never_on_air_share": round(1 - len(on_air) / len(experiences), 3),
        "refused_at_first_share": round(len(refused) / len(experiences), 3),
        "most_refusals_of_one_user": max(len(each.refusals) for each in experiences),
        "told": _told([refusal for each in experiences for refusal in each.refusals]),
        "stop_s": spread(stops),
    }


def _soon_share(experiences: Sequence[Experience]) -> float:
    soon = [each for each in experiences if each.on_air_s is not None and each.on_air_s <= SOON_S]
    return len(soon) / len(experiences)


def _told(refusals: Sequence[Refusal]) -> Figures:
    """Return for each reason how often it was given, and the range of Retry-After with it."""
    waits: defaultdict[str, list[int | None]] = defaultdict(list)
    for refusal in refusals:
        waits[refusal.reason.value].append(refusal.retry_after_s)
    return {
        reason: {
            "times": len(each),
            "retry_after_s": sorted({wait for wait in each if wait is not None}),
        }
        for reason, each in sorted(waits.items())
    }
