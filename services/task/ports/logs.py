"""The log of each task, and who watches it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from services.task.domain.conversation import TaskEvent
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


class TaskLogs(Protocol):
    """Reads the logs of tasks, and wakes those who watch them."""

    async def snapshot(self, task_id: str) -> Snapshot:
        """Return a task and its last sequence, read together."""

    async def events_after(
        self, task_id: str, sequence: int, *, limit: int
    ) -> tuple[Sequence[TaskEvent], bool]:
        """Return the next events, and whether nothing can follow them."""

    async def wake(self, task_id: str) -> None:
        """Wake everyone who watches a task, on every replica."""
