"""The log of each task, and who watches it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from services.task.domain.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A task and the sequence of the last event that it reflects."""

    task: Task
    last_sequence: int


class Watch(Protocol):
    """One watcher of a task's log."""

    async def wait(self) -> None:
        """Return once the log may have grown since the previous call, or since the watch began.

        Raises ServiceError with DRAINING.
        """


class Notifier(Protocol):
    """Wakes the watchers of a task when the journal has more to read."""

    def watching(self, task_id: str) -> AbstractContextManager[Watch]:
        """Watch a task, known or not, while the block is open.

        A watch that begins before a snapshot is read misses nothing that comes after it.
        """

    def drain(self) -> None:
        """Have all watchers raise DRAINING, as they would otherwise wait forever."""
