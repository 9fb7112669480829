"""The watchers in this process: whoever learns of news wakes them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class TaskWatch:
    """One watcher; it remembers that there is news, not how much, so it holds nothing back."""

    def __init__(self) -> None:
        self._has_news = asyncio.Event()
        self._is_draining = False

    def wake(self) -> None:
        """Wake the watcher, now or when it next waits."""
        self._has_news.set()

    def drain(self) -> None:
        """Send the watcher away."""
        self._is_draining = True
        self._has_news.set()

    async def wait(self) -> None:
        """Return once there is news since the last call. Raises ServiceError with DRAINING."""
        await self._has_news.wait()
        self._has_news.clear()
        if self._is_draining:
            raise ServiceError(Reason.DRAINING, "The service is shutting down.")


class TaskNotifier:
    """Knows who watches which task."""

    def __init__(self) -> None:
        self._watches: dict[str, set[TaskWatch]] = {}

    def publish(self, task_id: str) -> None:
        """Wake everyone who watches a task."""
        for watch in self._watches.get(task_id, ()):
            watch.wake()

    def watched(self) -> Sequence[str]:
        """Return the ids of the tasks that are watched."""
        return list(self._watches)

    def publish_all(self) -> None:
        """Wake all watchers, as any task may have news."""
        for task_id in self._watches:
            self.publish(task_id)

    @contextmanager
    def watching(self, task_id: str) -> Iterator[TaskWatch]:
        """Watch a task while the block is open."""
        watch = TaskWatch()
        self._watches.setdefault(task_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[task_id].discard(watch)
            if not self._watches[task_id]:
                del self._watches[task_id]

    def drain(self) -> None:
        """Send all watchers away."""
        for watches in self._watches.values():
            for watch in watches:
                watch.drain()
