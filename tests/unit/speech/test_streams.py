"""Stages limit how long they wait for each other, and close what they pull from."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.speech.streams import Deadlines, closing, timely
from tests.support.virtual_time import in_virtual_time

DEADLINES = Deadlines(first_s=5, next_s=2, total_s=8)


class Source:
    """Yields after each of some pauses, and records whether it was closed."""

    def __init__(self, *pauses_s: float) -> None:
        self._pauses_s = pauses_s
        self.is_closed = False

    async def items(self) -> AsyncIterator[int]:
        """Yield 0, 1, 2."""
        try:
            for index, pause_s in enumerate(self._pauses_s):
                await asyncio.sleep(pause_s)
                yield index
        finally:
            self.is_closed = True


@in_virtual_time
async def test_items_in_time_pass() -> None:
    source = Source(4.9, 1.9, 1)
    assert [item async for item in timely(source.items(), DEADLINES)] == [0, 1, 2]
    assert source.is_closed


@pytest.mark.parametrize(
    ("pauses_s", "passed", "at_s"),
    [((5.1,), 0, 5), ((1, 2.1), 1, 3), ((4, 1.9, 1.9, 1.9), 3, 8)],
    ids=["first", "next", "total"],
)
@in_virtual_time
async def test_a_late_item_ends_the_stage(
    pauses_s: tuple[float, ...], passed: int, at_s: float
) -> None:
    source = Source(*pauses_s)
    items = []
    with pytest.raises(TimeoutError):
        items.extend([item async for item in timely(source.items(), DEADLINES)])
    assert source.is_closed
    assert asyncio.get_running_loop().time() == pytest.approx(at_s)


@in_virtual_time
async def test_time_taken_by_the_consumer_does_not_count() -> None:
    items = []
    async for item in timely(Source(1, 1, 1).items(), DEADLINES):
        items.append(item)
        await asyncio.sleep(100)
    assert items == [0, 1, 2]


@in_virtual_time
async def test_leaving_early_closes_the_source() -> None:
    source = Source(1, 1)
    async with closing(timely(source.items(), DEADLINES)) as items:
        async for _ in items:
            break
    assert source.is_closed
