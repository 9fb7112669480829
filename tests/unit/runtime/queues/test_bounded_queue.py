"""A bounded queue holds its bounds, wakes who waits, and ends for both sides."""

import asyncio

import pytest

from services.runtime.queues.bounded_queue import BoundedQueue, QueueClosedError, QueueFullError
from tests.support.virtual_time import in_virtual_time


def texts(*, max_items: int = 100, max_size: float = 100) -> BoundedQueue[str]:
    """Return a queue of texts, sized by their length."""
    return BoundedQueue(max_items=max_items, max_size=max_size, size_of=len)


async def read(queue: BoundedQueue[str]) -> list[str]:
    """Return all that can be read."""
    return [item async for item in queue.items()]


@in_virtual_time
async def test_items_come_out_in_order_until_the_queue_is_closed() -> None:
    queue = texts()
    reading = asyncio.create_task(read(queue))
    for item in ("a", "b"):
        queue.put_nowait(item)
        await asyncio.sleep(1)
    queue.put_nowait("c")
    queue.close()
    assert await reading == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("queue_bounds", "fitting"),
    [({"max_items": 3}, ["a", "b", "c"]), ({"max_size": 5}, ["abc", "def"])],
)
@in_virtual_time
async def test_what_does_not_fit_is_refused_or_waits(
    queue_bounds: dict[str, int], fitting: list[str]
) -> None:
    queue = texts(**queue_bounds)
    for item in fitting:
        queue.put_nowait(item)
    with pytest.raises(QueueFullError):
        queue.put_nowait("x")
    putting = asyncio.create_task(queue.put("y"))
    await asyncio.sleep(1)
    assert not putting.done()
    assert await queue.get() == fitting[0]
    await putting
    assert list(queue) == [*fitting[1:], "y"]


@in_virtual_time
async def test_an_item_without_size_is_bounded_in_number_alone() -> None:
    queue = texts(max_items=3, max_size=2)
    queue.put_nowait("ab")
    queue.put_nowait("")
    queue.put_nowait("")
    with pytest.raises(QueueFullError):
        queue.put_nowait("")


@in_virtual_time
async def test_what_is_forced_in_counts() -> None:
    queue = texts(max_items=1)
    queue.force("a")
    queue.force("b")
    waiting = asyncio.create_task(queue.room())
    assert queue.pop_newest() == "b"
    await asyncio.sleep(1)
    assert not waiting.done()
    assert queue.pop() == "a"
    await waiting
    assert len(queue) == 0
    assert queue.newest is None


@in_virtual_time
async def test_an_error_follows_what_waits() -> None:
    queue = texts(max_items=1)
    queue.put_nowait("a")
    putting = asyncio.create_task(queue.put("b"))
    await asyncio.sleep(1)
    queue.close(ValueError("broken"))
    queue.close(ValueError("not the first"))
    with pytest.raises(QueueClosedError):
        await putting
    with pytest.raises(QueueClosedError):
        queue.put_nowait("c")
    assert await queue.get() == "a"
    with pytest.raises(ValueError, match="broken"):
        await queue.get()


@in_virtual_time
async def test_an_aborted_queue_is_empty() -> None:
    queue = texts()
    queue.put_nowait("a")
    draining = asyncio.create_task(queue.drained())
    reading = asyncio.create_task(queue.drained())
    await asyncio.sleep(1)
    assert not draining.done()
    queue.abort(ValueError("broken"))
    for waiting in (draining, reading):
        with pytest.raises(ValueError, match="broken"):
            await waiting
    with pytest.raises(ValueError, match="broken"):
        await read(queue)


@in_virtual_time
async def test_a_reader_that_keeps_up_drains_the_queue() -> None:
    queue = texts()
    await queue.drained()
    queue.put_nowait("a")
    draining = asyncio.create_task(queue.drained())
    await queue.readable()
    assert queue.pop() == "a"
    await draining
