"""Which replica may take the steps of a task."""

from dataclasses import dataclass

from services.runtime.callers.caller import DEFAULT_TENANT
from services.task.domain.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to take the steps of a task; `fence` is higher than that of every lease before."""

    task_id: str
    tenant_id: str = DEFAULT_TENANT
    fence: int


def first_lease(task: Task) -> Lease:
    """Return the lease under which a new task is recorded."""
    return Lease(task_id=task.task_id, tenant_id=task.tenant_id, fence=1)


class StaleLeaseError(Exception):
    """Another replica has taken a lease over, since this one showed no sign of life."""
