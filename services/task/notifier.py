"""Tells the watchers of a task, within this process, that its log has grown."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason


class Watch:
    """One watcher's bell: it remembers that it rang, not how often, so it holds nothing back."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._is_closing = False

    def ring(self) -> None:
        """Wake the watcher, now or when it next waits."""
        self._rung.set()

    def close(self) -> None:
        """Send the watcher away."""
        self._is_closing = True
        self._rung.set()

    async def wait(self) -> None:
        """Return when the bell has rung since the last call. Raises ServiceError with DRAINING."""
        await self._rung.wait()
        self._rung.clear()
        if self._is_closing:
            raise ServiceError(Reason.DRAINING, "The service is shutting down.")


class TaskNotifier:
    """Who watches which task."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    def publish(self, task_id: str) -> None:
        """Ring the bell of everyone who watches a task."""
        for watch in self._watches.get(task_id, ()):
            watch.ring()

    @contextmanager
    def watching(self, task_id: str) -> Iterator[Watch]:
        """Listen for a task's changes while the block is open."""
        watch = Watch()
        self._watches.setdefault(task_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[task_id].discard(watch)
            if not self._watches[task_id]:
                del self._watches[task_id]

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Keep watchers until the block is left, then send them away, for they wait without end."""
        try:
            yield
        finally:
            for watches in self._watches.values():
                for watch in watches:
                    watch.close()
