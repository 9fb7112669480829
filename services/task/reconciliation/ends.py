"""Ends tasks whose clients are gone, and those whose users or tenants have used up their own."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from services.runtime.callers.caller import acting_for, of_tenant
from services.runtime.callers.tenants import NO_QUOTAS, Tenants
from services.runtime.failures.errors import ServiceError
from services.task.domain.tasks import Clock, StopReason, Task, left, stopping
from services.task.domain.usage import Budget, Overspent, Period, Window
from services.task.ports.clients import Clients
from services.task.ports.replicas import Replicas
from services.task.ports.search import TaskSearch
from services.task.ports.usage import Usage
from services.task.reconciliation.findings import Finding, FindingAction, about

log = structlog.get_logger(__name__)

ENDS = "ends"
"""The duty of looking for such tasks, which one replica has."""
CHECK_S = 2.0
LONGEST_PAUSE_S = 3.0
"""Of this process: the shortest absence and its margin outlast it."""
LONGEST = timedelta(hours=25)
"""A little more than the longest life of a task: older periods have no live ones."""


class Ends:
    """Looks for such tasks every CHECK_S; the shortest absence is a few times as long.

    `end` stops a task if a change makes it stopping, as LifeCycle.end does.
    """

    def __init__(
        self,
        *,
        replica_id: str,
        replicas: Replicas,
        search: TaskSearch,
        clients: Clients,
        usage: Usage,
        end: Callable[[str, Callable[[Task], Task]], Awaitable[tuple[Task, Task]]],
        budget: Budget | None,
        tenants: Tenants = NO_QUOTAS,
        clock: Clock,
    ) -> None:
        self._replica_id = replica_id
        self._replicas = replicas
        self._search = search
        self._clients = clients
        self._usage = usage
        self._end_if = end
        self._budget = budget
        self._tenants = tenants
        self._clock = clock
        self._noted_since = clock()

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            slept_at = loop.time()
            await asyncio.sleep(CHECK_S)
            self.note_pause(loop.time() - slept_at - CHECK_S)
            try:
                if await self._replicas.lead(ENDS, self._replica_id):
                    await self.carry_out()
            except ServiceError as error:
                # Nor could anybody note that a client is there.
                self._noted_since = self._clock()
                log.warning("ends of tasks not looked for", reason=error.reason.value)
            except Exception:
                log.exception("looking for ends of tasks failed unexpectedly")

    def note_pause(self, seconds: float) -> None:
        """Note that this process stood still for a time, in which it could note no client."""
        if seconds > LONGEST_PAUSE_S:
            self._noted_since = self._clock()

    async def find(self) -> Sequence[Finding]:
        """Return the tasks to end, and why."""
        return [
            *(
                about(task, FindingAction.STOP_TASK, f"its client is gone since {_moment(task)}")
                for task in await self._absent()
            ),
            *(
                about(
                    each.task,
                    FindingAction.STOP_TASK,
                    f"its user has used {each.spent_seconds} s, more than the budget",
                )
                for each in await self._overspent()
            ),
            *(
                about(task, FindingAction.STOP_TASK, f"its tenant has used {used_up}")
                for task, used_up in await self._over_quota()
            ),
        ]

    async def carry_out(self) -> None:
        """End the tasks that are to be ended."""
        for task in await self._absent():
            await self._end(task, partial(left, now=self._clock(), noted_since=self._noted_since))
        for each in await self._overspent():
            await self._end(each.task, partial(stopping, reason=StopReason.BUDGET))
        for task, _ in await self._over_quota():
            await self._end(task, partial(stopping, reason=StopReason.QUOTA))

    async def _absent(self) -> Sequence[Task]:
        return await self._clients.absent(noted_since=self._noted_since)

    async def _overspent(self) -> Sequence[Overspent]:
        if self._budget is None:
            return ()
        now = self._clock()
        return [
            each
            for window in self._budget.period.between(now - LONGEST, now)
            for each in await self._usage.overspent(self._budget, window)
        ]

    async def _over_quota(self) -> Sequence[tuple[Task, str]]:
        """Return the tasks whose tenants have used up the day of the task, and what of it."""
        if not self._tenants.are_daily:
            return ()
        by_day: defaultdict[Window, list[Task]] = defaultdict(list)
        for task in await self._search.live():
            if self._tenants.quota_of(task.tenant_id).is_daily:
                by_day[Period.DAY.around(task.create_time)].append(task)
        found = []
        for day, tasks in by_day.items():
            spent = await self._usage.spending({task.tenant_id for task in tasks}, day)
            for task in tasks:
                quota = self._tenants.quota_of(task.tenant_id)
                if used_up := spent[task.tenant_id].used_up(quota):
                    found.append((task, used_up))
        return found

    async def _end(self, task: Task, change: Callable[[Task], Task]) -> None:
        with acting_for(of_tenant(task.tenant_id)):
            before, after = await self._end_if(task.task_id, change)
        if before.state is not after.state:
            log.info("task to be ended", task_id=task.task_id, why=after.stop_reason)


def _moment(task: Task) -> str:
    seen: datetime = max(filter(None, (task.seen_time, task.start_time)), default=task.create_time)
    return seen.isoformat(timespec="seconds")
