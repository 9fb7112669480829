"""Refused callers come back one after another, and nobody is told a time without end."""

import random
from itertools import pairwise

import pytest

from services.runtime.failures.retry import RetrySchedule


class FakeTime:
    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def schedule(time: FakeTime) -> RetrySchedule:
    uniform = random.Random(1).uniform
    return RetrySchedule(apart_s=0.5, longest_s=60, clock=time.clock, uniform=uniform)


def test_whoever_is_alone_may_come_back_soonest(schedule: RetrySchedule, time: FakeTime) -> None:
    for _ in range(3):
        assert schedule.next_s(soonest_s=2) == 2
        time.now += 1


def test_many_come_back_one_after_another(schedule: RetrySchedule, time: FakeTime) -> None:
    times = []
    for _ in range(40):
        times.append(time.now + schedule.next_s(soonest_s=2))
        time.now += 0.1
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert pauses == pytest.approx([0.5] * 39)


def test_a_crowd_is_told_different_times_up_to_the_longest(
    schedule: RetrySchedule, time: FakeTime
) -> None:
    told = [schedule.next_s(soonest_s=2) for _ in range(1000)]
    late = told[117:]
    assert told[:117] == pytest.approx([2 + number / 2 for number in range(117)])
    assert min(late) >= 30
    assert max(late) <= 60
    assert len(set(late)) == len(late)
    time.now += 58
    assert schedule.next_s(soonest_s=2) == pytest.approx(2.5)
