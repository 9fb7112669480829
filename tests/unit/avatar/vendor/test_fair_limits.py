"""Tenants take turns at the cloud's rate limit, and a stop waits for no other action."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.avatar.vendor.actions import Action
from services.avatar.vendor.fair_limits import FairRateLimits
from services.avatar.vendor.limits import ProcessRateLimits, RateLimitedError
from services.runtime.callers.caller import Caller, acting_for
from tests.support.virtual_time import in_virtual_time

CREATE = Action.CREATE_STREAM_TASK
STOP = Action.STOP_STREAM_TASK


def limits_of(calls: int = 1) -> FairRateLimits:
    inner = ProcessRateLimits(calls=calls, window_s=1, clock=_now)
    return FairRateLimits(inner, calls=calls, window_s=1)


def _now() -> float:
    return asyncio.get_running_loop().time()


def asking(limits: FairRateLimits, granted: list[str]) -> Callable[[str, float], Awaitable[None]]:
    async def take(tenant_id: str, within_s: float) -> None:
        with acting_for(Caller(tenant_id=tenant_id)):
            await limits.take(CREATE, within_s=within_s)
        granted.append(tenant_id)

    return take


@in_virtual_time
async def test_tenants_take_turns_whatever_one_of_them_asks_for() -> None:
    granted = list[str]()
    take = asking(limits_of(), granted)
    tenants = ["greedy"] * 6 + ["modest", "modest"]
    await asyncio.gather(*(take(each, 60) for each in tenants))
    # The first goes at once and the second has the next turn before the modest one comes.
    assert granted == ["greedy", "greedy", "modest", "greedy", "modest", *["greedy"] * 3]


@in_virtual_time
async def test_the_greedy_one_runs_out_of_time_and_no_other() -> None:
    granted = list[str]()
    take = asking(limits_of(), granted)
    outcomes = await asyncio.gather(
        *(take("greedy", 4.5) for _ in range(20)), take("modest", 4.5), return_exceptions=True
    )
    assert granted == ["greedy", "greedy", "modest", "greedy", "greedy"]
    refused = [each for each in outcomes if isinstance(each, RateLimitedError)]
    assert len(refused) == 16
    assert all(each.retry_after_s >= 1 for each in refused)


@in_virtual_time
async def test_who_cannot_come_in_time_is_told_at_once() -> None:
    limits = limits_of(calls=10)
    take = asking(limits, [])
    waiting = [asyncio.ensure_future(take("greedy", 60)) for _ in range(30)]
    await asyncio.sleep(0)
    asked_at = _now()
    with pytest.raises(RateLimitedError) as caught:
        await take("greedy", 0.5)
    assert _now() == asked_at
    assert caught.value.retry_after_s == 1
    await take("modest", 1.5)
    await asyncio.gather(*waiting)


@in_virtual_time
async def test_a_stop_waits_for_no_other_action() -> None:
    limits = limits_of()
    take = asking(limits, [])
    waiting = [asyncio.ensure_future(take("greedy", 60)) for _ in range(5)]
    await asyncio.sleep(0)
    await limits.take(STOP, within_s=0)
    assert not any(each.done() for each in waiting[1:])
    await asyncio.gather(*waiting)


@in_virtual_time
async def test_a_pause_after_a_refusal_reaches_all_tenants() -> None:
    limits = limits_of()
    await limits.hold(2)
    began_at = _now()
    await limits.take(CREATE, within_s=5)
    assert _now() - began_at == pytest.approx(2)
