"""Who comes when."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A user who comes; requests are counted by `caller`, the address that they come from."""

    at: float
    tenant: str
    caller: str


def burst(
    count: int, *, at: float = 0.0, seconds: float = 1.0, tenant: str = "one"
) -> Sequence[Visit]:
    """Return users who come evenly within a short time, each from an address of their own."""
    return [
        Visit(at=at + seconds * number / count, tenant=tenant, caller=f"{tenant}-{number}")
        for number in range(count)
    ]


def steady(per_second: float, *, seconds: float, seed: int, tenant: str = "one") -> Sequence[Visit]:
    """Return users who come independently of each other, each from an address of their own."""
    dice = random.Random(seed)
    visits: list[Visit] = []
    at = dice.expovariate(per_second)
    while at < seconds:
        visits.append(Visit(at=at, tenant=tenant, caller=f"{tenant}-{len(visits)}"))
        at += dice.expovariate(per_second)
    return visits


def through_one_address(visits: Iterable[Visit]) -> Sequence[Visit]:
    """Return the visits as a tenant's own backend passes them on."""
    return [Visit(at=each.at, tenant=each.tenant, caller=each.tenant) for each in visits]
