"""The rate limit lets ten calls of an action through a second, in order, and stops at once."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.avatar.vendor.actions import Action
from services.avatar.vendor.limits import ProcessRateLimits, RateLimitedError, RateLimits

QUERY = Action.QUERY_STREAM_TASKS
STOP = Action.STOP_STREAM_TASK


class FakeTime:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def limits(time: FakeTime) -> RateLimits:
    return ProcessRateLimits(calls=10, window_s=1, clock=time.clock, sleep=time.sleep)


async def test_ten_calls_go_at_once_and_the_eleventh_a_second_later(
    limits: RateLimits, time: FakeTime
) -> None:
    turns = [(await limits.take(QUERY, within_s=5)).at for _ in range(11)]
    assert turns[:10] == [100.0] * 10
    assert turns[10] == pytest.approx(101)


async def test_actions_do_not_wait_for_each_other(limits: RateLimits, time: FakeTime) -> None:
    for _ in range(10):
        await limits.take(QUERY, within_s=0)
    assert (await limits.take(Action.DO_ACTION, within_s=0)).at == 100
    assert (await limits.take(STOP, within_s=0)).at == 100


async def test_a_turn_after_the_deadline_is_refused_with_a_hint(limits: RateLimits) -> None:
    for _ in range(10):
        await limits.take(QUERY, within_s=0)
    with pytest.raises(RateLimitedError) as caught:
        await limits.take(QUERY, within_s=0.5)
    assert caught.value.retry_after_s == pytest.approx(1)


async def test_a_refused_call_takes_no_turn(limits: RateLimits, time: FakeTime) -> None:
    for _ in range(10):
        await limits.take(QUERY, within_s=0)
    for _ in range(5):
        with pytest.raises(RateLimitedError):
            await limits.take(QUERY, within_s=0)
    time.now += 1
    assert [(await limits.take(QUERY, within_s=0)).at for _ in range(10)] == [101.0] * 10


async def test_waiting_callers_get_turns_in_order(time: FakeTime) -> None:
    woken = asyncio.Event()

    async def sleep(_: float) -> None:
        await woken.wait()

    limits = ProcessRateLimits(calls=1, window_s=1, clock=time.clock, sleep=sleep)
    tasks = [asyncio.create_task(limits.take(QUERY, within_s=10)) for _ in range(4)]
    await asyncio.sleep(0)
    woken.set()
    assert [turn.at for turn in await asyncio.gather(*tasks)] == [100, 101, 102, 103]


async def test_after_a_refusal_by_the_cloud_only_stops_go_on(
    limits: RateLimits, time: FakeTime
) -> None:
    await limits.hold(2)
    assert (await limits.take(STOP, within_s=0)).at == 100
    with pytest.raises(RateLimitedError):
        await limits.take(QUERY, within_s=1)
    assert (await limits.take(QUERY, within_s=3)).at == 102


async def test_a_call_that_never_left_gives_its_turn_back(limits: RateLimits) -> None:
    turns = [await limits.take(QUERY, within_s=0) for _ in range(10)]
    await turns[3].refund()
    assert (await limits.take(QUERY, within_s=0)).at == 100


async def test_a_turn_is_given_back_however_many_have_followed(
    limits: RateLimits, time: FakeTime
) -> None:
    first = await limits.take(QUERY, within_s=0)
    for _ in range(20):
        await limits.take(QUERY, within_s=5)
    await first.refund()


async def test_processes_that_cannot_agree_grant_their_share_but_every_stop(time: FakeTime) -> None:
    sharers = 3
    limits = ProcessRateLimits(
        calls=10, window_s=1, sharers=lambda: sharers, clock=time.clock, sleep=time.sleep
    )
    assert [(await limits.take(QUERY, within_s=5)).at for _ in range(4)] == [100, 100, 100, 101]
    assert [(await limits.take(STOP, within_s=5)).at for _ in range(10)] == [101] * 10
    sharers = 20
    assert (await limits.take(QUERY, within_s=5)).at == 102


@given(st.lists(st.floats(0, 0.4), min_size=1, max_size=80))
async def test_no_second_ever_holds_more_than_ten_calls(pauses: list[float]) -> None:
    time = FakeTime()
    limits = ProcessRateLimits(calls=10, window_s=1, clock=time.clock, sleep=time.sleep)
    turns = []
    for pause in pauses:
        time.now += pause
        turns.append((await limits.take(QUERY, within_s=100)).at)
    for first, eleventh in zip(turns, turns[10:], strict=False):
        assert eleventh - first >= 1 - 1e-9
