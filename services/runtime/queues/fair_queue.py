"""What waits for something scarce, taken from those who wait in turn."""

import itertools
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items that wait, each in a flow such as (tenant, conversation), by round robin.

    The first names of the flows take turns, then within the one whose turn it is the second names,
    and so on; items of one flow keep their order. Whoever was served last is last in line, also
    behind a newcomer; so before its first item comes at most one of every other name, and of the
    name that is being served none. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._parties: OrderedDict[str, FairQueue[T]] = OrderedDict()
        self._served: str | None = None
        """The name that was served last."""

    def __len__(self) -> int:
        return len(self._items) + sum(map(len, self._parties.values()))

    def __bool__(self) -> bool:
        return bool(self._items or self._parties)

    def put(self, item: T, flow: Sequence[str]) -> None:
        """Let an item wait; all flows of a queue have the same number of names."""
        if not flow:
            self._items.append(item)
            return
        if flow[0] not in self._parties:
            self._parties[flow[0]] = FairQueue()
            if self._served is not None and self._served in self._parties:
                self._parties.move_to_end(self._served)
        self._parties[flow[0]].put(item, flow[1:])

    def take(self) -> T:
        """Remove and return the item whose turn it is."""
        if self._items:
            return self._items.popleft()
        name, party = self._parties.popitem(last=False)
        item = party.take()
        if party:
            self._parties[name] = party
        self._served = name
        return item

    def remove(self, item: T, flow: Sequence[str]) -> None:
        """Forget an item of a flow, unless it was taken."""
        if not flow:
            with suppress(ValueError):
                self._items.remove(item)
            return
        party = self._parties.get(flow[0])
        if party is None:
            return
        party.remove(item, flow[1:])
        if not party:
            del self._parties[flow[0]]

    def ahead_of(self, flow: Sequence[str]) -> int:
        """Return how many of those that wait now come before an item put into the flow."""
        if not flow:
            return len(self._items)
        own = self._parties.get(flow[0])
        rounds = own.ahead_of(flow[1:]) if own is not None else 0
        others = [name for name in self._parties if name != flow[0]]
        if own is not None:
            earlier = set(itertools.takewhile(lambda name: name != flow[0], self._parties))
        else:
            earlier = {name for name in others if name != self._served}
        return rounds + sum(
            min(len(self._parties[name]), rounds + (name in earlier)) for name in others
        )
