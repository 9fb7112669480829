"""Tasks, from the requests that create them to their final states."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from services.runtime.callers.caller import DEFAULT_TENANT
from services.runtime.callers.tenants import NO_QUOTAS, Tenants
from services.task.domain.audit import Deed
from services.task.domain.tasks import Task
from services.task.domain.usage import Budget
from services.task.ports.leases import Lease

REQUEST_LIFE = timedelta(hours=24)
"""How long a call may be repeated with its request id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call that may be repeated: its id within a tenant, and a digest of its content."""

    tenant_id: str = DEFAULT_TENANT
    request_id: str
    digest: bytes


SHORTEST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
"""Between these a caller who is over a quota is asked to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many tasks may be live at once, in total and per named user, and what they may cost.

    `tenants` says the same of each tenant.
    """

    running: int
    running_per_user: int
    budget: Budget | None = None
    tenants: Tenants = NO_QUOTAS


class Tasks(Protocol):
    """Keeps tasks, what is known of their calls, and the requests that were answered."""

    async def add(
        self,
        task: Task,
        request: Request | None,
        quota: Quota,
        *,
        replica_id: str = "",
        call_facts: bytes = b"",
    ) -> Task:
        """Record a new task, or return the one that an earlier call with the request created.

        A task that is recorded already is returned as it is now. A new one is recorded under its
        `first_lease`, which the replica holds, and with what is left of its user's budget;
        `call_facts` is what is known of its call, encoded. Raises ServiceError: REQUEST_ID_REUSED,
        CAPACITY_EXCEEDED, QUOTA_EXCEEDED, BUDGET_EXCEEDED, STREAM_IN_USE.
        """

    async def find_created(self, request: Request | None) -> Task:
        """Return the task that an earlier call with the request created.

        Raises ServiceError: TASK_NOT_FOUND when there was none, REQUEST_ID_REUSED.
        """

    async def change(
        self,
        task_id: str,
        change: Callable[[Task], Task],
        request: Request | None = None,
        *,
        lease: Lease | None = None,
        deed: Deed | None = None,
    ) -> tuple[Task, Task]:
        """Replace a task with what `change` makes of it; return it before and after.

        A change of state becomes an event. A task that failed before the cloud accepted the order
        frees its request id, so that a repeated call tries again. A `request` that was answered
        before changes nothing. Raises ServiceError with REQUEST_ID_REUSED, StaleLeaseError when the
        `lease` is no longer held, and whatever `change` raises. `change` must not block, may
        run in another thread, and more than once. A change of state is audited as the `deed`.
        """

    async def get(self, task_id: str) -> Task:
        """Return a task."""

    async def get_with_facts(self, task_id: str) -> tuple[Task, bytes]:
        """Return a task and what is known of its call, empty for nothing."""

    async def change_facts(self, task_id: str, change: Callable[[bytes], bytes]) -> Task:
        """Replace what is known of a call with what `change` makes of it; return the task.

        As for `change`. Raises ServiceError with TASK_ENDED.
        """

    async def is_repeatable(self, task_id: str) -> bool:
        """Return whether a request id leads to the task, whosever it is."""

    async def forget_requests(self) -> None:
        """Delete the requests that are too old to be repeated."""
