"""What is cached is asked for once at a time; an old answer is better than a failure or a wait."""

import asyncio
from collections import deque

import pytest

from gateway.backend.cached import FAILED_S, FRESH_S, OLDEST_S, PATIENCE_S, Cached
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.virtual_time import in_virtual_time


class Source:
    """Answers after a second with how often it was asked, or fails as scripted."""

    def __init__(self) -> None:
        self.asked = 0
        self.failures: deque[Exception | None] = deque()

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(1.0)
        failure = self.failures.popleft() if self.failures else None
        if failure is not None:
            raise failure
        return number


def busy() -> ServiceError:
    return ServiceError(Reason.CLOUD_BUSY, "The cloud is busy.")


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_many_who_ask_at_once_cost_one_call() -> None:
    source = Source()
    cached = Cached(source.ask)
    assert await asyncio.gather(*(cached.get() for _ in range(100))) == [1] * 100
    await asyncio.sleep(FRESH_S - 0.1)
    assert await cached.get() == 1
    assert source.asked == 1


@in_virtual_time
async def test_a_caller_who_leaves_does_not_end_the_call_of_the_others() -> None:
    source = Source()
    cached = Cached(source.ask)
    leaving, staying = asyncio.create_task(cached.get()), asyncio.create_task(cached.get())
    await asyncio.sleep(0.5)
    leaving.cancel()
    assert await staying == 1


@in_virtual_time
async def test_the_last_answer_is_given_while_a_newer_one_takes_long() -> None:
    cached = Cached(Source().ask)
    await cached.get()
    await asyncio.sleep(FRESH_S)
    asked_at = now()
    assert await cached.get() == 1
    assert now() - asked_at == pytest.approx(PATIENCE_S)
    assert list(await asyncio.gather(cached.get(), cached.get())) == [2, 2]


@in_virtual_time
async def test_a_failure_is_remembered_for_a_while() -> None:
    source = Source()
    source.failures.append(busy())
    cached = Cached(source.ask)
    for _ in range(10):
        with pytest.raises(ServiceError):
            await cached.get()
    assert source.asked == 1
    await asyncio.sleep(FAILED_S)
    assert await cached.get() == 2


@in_virtual_time
async def test_while_the_source_fails_the_last_answer_is_given_until_it_is_too_old() -> None:
    source = Source()
    cached = Cached(source.ask)
    assert await cached.get() == 1
    source.failures.extend([busy()] * 1000)
    while now() < OLDEST_S:
        assert await cached.get() == 1
        await asyncio.sleep(1.0)
    assert source.asked <= 1 + OLDEST_S / FAILED_S
    await asyncio.sleep(2.0)
    with pytest.raises(ServiceError):
        await cached.get()


@in_virtual_time
async def test_an_unexpected_error_comes_through_and_is_not_remembered() -> None:
    source = Source()
    source.failures.append(ZeroDivisionError())
    cached = Cached(source.ask)
    with pytest.raises(ZeroDivisionError):
        await cached.get()
    assert await cached.get() == 2
