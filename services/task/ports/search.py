"""Which tasks there are."""

from dataclasses import dataclass

from services.task.domain.tasks import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks to list; empty fields do not restrict."""

    states: tuple[TaskState, ...] = ()
    user_id: str = ""
    avatar_id: str = ""
    is_of_every_tenant: bool = False
