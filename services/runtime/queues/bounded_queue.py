"""A queue between tasks that is bounded in number and in size, and can end with an error."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFullError(Exception):
    """There is no room for an item."""


class QueueClosedError(Exception):
    """The queue takes no more items."""


class BoundedQueue(Generic[T]):
    """First in, first out; many tasks may add, one reads.

    There is room while both the number of items and the sum of their sizes are below their bounds,
    so the last item may overshoot the latter. An item of size 0 counts in number alone.
    """

    def __init__(
        self,
        *,
        max_items: int,
        max_size: float = math.inf,
        size_of: Callable[[T], int] = lambda item: 0,
    ) -> None:
        self._max_items = max_items
        self._max_size = max_size
        self._size_of = size_of
        self._items: deque[T] = deque()
        self._size = 0
        self._is_closed = False
        self._error: Exception | None = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._empty = asyncio.Event()
        self._update()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        """The waiting items, oldest first."""
        return iter(self._items)

    @property
    def is_closed(self) -> bool:
        """Whether the queue takes no more items."""
        return self._is_closed

    @property
    def has_room(self) -> bool:
        """Whether `room` would not wait."""
        return self._writable.is_set()

    @property
    def newest(self) -> T | None:
        """The last item, if any waits."""
        return self._items[-1] if self._items else None

    def put_nowait(self, item: T) -> None:
        """Add an item; raises QueueFullError, or QueueClosedError."""
        is_large = self._size_of(item) > 0 and self._size >= self._max_size
        if not self._is_closed and (is_large or len(self._items) >= self._max_items):
            raise QueueFullError
        self.force(item)

    async def put(self, item: T) -> None:
        """Add an item when there is room; raises QueueClosedError."""
        await self.room()
        self.force(item)

    def force(self, item: T) -> None:
        """Add an item whether or not there is room: its producer waits for `room` beforehand.

        Raises QueueClosedError.
        """
        if self._is_closed:
            raise QueueClosedError
        self._items.append(item)
        self._size += self._size_of(item)
        self._update()

    async def room(self) -> None:
        """Wait until there is room, or the queue is closed."""
        await self._writable.wait()

    async def readable(self) -> None:
        """Wait until an item waits, or the queue is closed."""
        await self._readable.wait()

    async def get(self) -> T:
        """Remove the oldest item; raises the error of `close`, or QueueClosedError."""
        await self.readable()
        if not self._items:
            raise self._error or QueueClosedError
        return self.pop()

    async def items(self) -> AsyncIterator[T]:
        """Remove and yield the items until the queue is closed; raises the error of `close`."""
        while True:
            try:
                item = await self.get()
            except QueueClosedError:
                return
            yield item

    def pop(self) -> T:
        """Remove the oldest item, which there must be."""
        return self._removed(self._items.popleft())

    def pop_newest(self) -> T:
        """Remove the last item, which there must be."""
        return self._removed(self._items.pop())

    async def drained(self) -> None:
        """Wait until no item waits; raises the error of `close`."""
        await self._empty.wait()
        if self._error is not None:
            raise self._error

    def close(self, error: Exception | None = None) -> None:
        """Take no more items; those that wait can still be read, and the error follows them.

        Only the first call counts.
        """
        if not self._is_closed:
            self._is_closed = True
            self._error = error
            self._update()

    def abort(self, error: Exception) -> None:
        """Drop the items that wait and close the queue."""
        self._items.clear()
        self._size = 0
        self.close(error)
        self._update()

    def _removed(self, item: T) -> T:
        self._size -= self._size_of(item)
        self._update()
        return item

    def _update(self) -> None:
        has_room = len(self._items) < self._max_items and self._size < self._max_size
        _set(self._readable, self._is_closed or bool(self._items))
        _set(self._writable, self._is_closed or has_room)
        _set(self._empty, not self._items)


def _set(event: asyncio.Event, value: bool) -> None:
    if value:
        event.set()
    else:
        event.clear()
