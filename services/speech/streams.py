"""How the stages of a turn pull from each other: each closes its source and limits its waiting."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a stage may keep its consumer waiting, in seconds.

    `total_s` counts only waiting: time in which the consumer asks for nothing is free.
    """

    first_s: float
    next_s: float
    total_s: float


@asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an iterator at the end of the block, if it can be closed."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def timely(items: AsyncIterator[T], deadlines: Deadlines) -> AsyncIterator[T]:
    """Yield the same items; raises TimeoutError when one is late."""
    loop = asyncio.get_running_loop()
    limit_s = deadlines.first_s
    left_s = deadlines.total_s
    async with closing(items):
        while True:
            asked_at = loop.time()
            try:
                async with asyncio.timeout(min(limit_s, left_s)):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            left_s -= loop.time() - asked_at
            limit_s = deadlines.next_s
            yield item


async def beginning(items: AsyncIterator[T], within_s: float | None) -> AsyncIterator[T]:
    """Yield the same items; raises TimeoutError when the first is late."""
    async with closing(items):
        try:
            async with asyncio.timeout(within_s):
                first = await anext(items)
        except StopAsyncIteration:
            return
        yield first
        async for item in items:
            yield item


async def once(item: T) -> AsyncIterator[T]:
    """Yield one item."""
    yield item
