"""Which tasks there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.task.domain.tasks import Task, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks to list; empty fields do not restrict."""

    states: tuple[TaskState, ...] = ()
    user_id: str = ""
    avatar_id: str = ""
    is_of_every_tenant: bool = False


class TaskSearch(Protocol):
    """Finds tasks."""

    async def page(self, wanted: TaskFilter, *, before: str, size: int) -> Sequence[Task]:
        """Return up to `size` tasks with ids below `before` (empty: the newest), newest first."""

    async def of_avatar(self, avatar_id: str) -> Task | None:
        """Return the newest task, of all tenants, with an avatar; None if there is none."""

    async def live(self) -> Sequence[Task]:
        """Return all tasks of all tenants that are not in a final state."""

    async def of_stream(self, room_id: str, stream_id: str, *, since: datetime) -> Sequence[Task]:
        """Return the tasks, of all tenants, for a room and stream that were created after a moment.

        As the cloud knows their names.
        """
