"""Which replica may take the steps of a task."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

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


class Leases(Protocol):
    """Keeps which replica may take the steps of which task."""

    async def take(self, task_id: str, replica_id: str) -> Lease | None:
        """Take a task's lease for a replica; None while another one that is alive has it."""

    async def release(self, lease: Lease) -> None:
        """Give a lease back, unless it was taken over."""

    async def mark_due(self, task_ids: Sequence[str]) -> None:
        """Have some replica look at tasks of all tenants."""

    async def take_due(
        self, replica_id: str, *, limit: int, busy: Collection[str]
    ) -> Sequence[Lease]:
        """Take the leases of tasks to look at, but none that another replica holds, or `busy`.

        Of all tenants.
        """
