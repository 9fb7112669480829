"""Moves tasks to their next state: decides which replica takes a task's next step, and when."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakValueDictionary

import structlog

from services.runtime.callers.caller import acting_for, of_tenant
from services.runtime.failures.errors import ServiceError
from services.task.domain.tasks import Task, TaskState
from services.task.jobs import Jobs
from services.task.lifecycle.step import Steps
from services.task.ports.leases import Lease, Leases, StaleLeaseError, first_lease
from services.task.ports.logs import Notifier, TaskLogs, Watch
from services.task.ports.tasks import Quota, Request, Tasks

log = structlog.get_logger(__name__)

LEASE_POLL_S = 0.3
"""Between looks whether another replica has finished its step."""


class TaskStateMachine:
    """Takes the steps of tasks, never two at once for the same task.

    Within the process a lock sees to that, and among replicas a lease; its fence keeps a replica
    that was paused in the middle of a step from recording what is no longer true.
    """

    def __init__(
        self,
        *,
        replica_id: str,
        steps: Steps,
        tasks: Tasks,
        leases: Leases,
        logs: TaskLogs,
        notifier: Notifier,
        jobs: Jobs,
    ) -> None:
        self._replica_id = replica_id
        self._steps = steps
        self._tasks = tasks
        self._leases = leases
        self._logs = logs
        self._notifier = notifier
        self._jobs = jobs
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._watched: set[str] = set()

    @property
    def busy(self) -> frozenset[str]:
        """The tasks of which a step is in progress here, or the start is being watched."""
        return frozenset(task_id for task_id, lock in self._locks.items() if lock.locked())

    async def create(
        self, task: Task, request: Request | None, quota: Quota, call_facts: bytes = b""
    ) -> Task:
        """Record a task and order its avatar; return it, or the one that the request created.

        Raises ServiceError: the task has failed if the cloud refused it; otherwise it stays in
        CREATING until `check` finds out what became of the order.
        """
        async with self._lock(task.task_id):
            known = await self._tasks.add(
                task, request, quota, replica_id=self._replica_id, call_facts=call_facts
            )
            if known.task_id != task.task_id:
                return known
            log.info("task created", task_id=task.task_id)
            lease = first_lease(task)
            async with self._released(lease):
                return await self._taken(self._steps.order, lease)

    async def check(self, task_id: str) -> Task:
        """Ask the cloud about a task and act on the answer, as soon as nobody else does.

        Raises ServiceError.
        """
        async with self._turn(task_id) as lease:
            return await self._taken(self._steps.check, lease)

    async def refresh(self, task_id: str) -> Task:
        """Ask the cloud about a task now; whoever is at it is asked to. Raises ServiceError."""
        lease = None if task_id in self.busy else await self._take(task_id)
        if lease is None:
            await self._logs.wake(task_id)
            return await self._tasks.get(task_id)
        return await self.resume(lease)

    async def resume(self, lease: Lease) -> Task:
        """Take the next step of a task under a lease, and release it. Raises ServiceError."""
        with acting_for(of_tenant(lease.tenant_id)):
            async with self._lock(lease.task_id), self._released(lease):
                return await self._taken(self._steps.check, lease)

    def _lock(self, task_id: str) -> asyncio.Lock:
        return self._locks.setdefault(task_id, asyncio.Lock())

    @asynccontextmanager
    async def _turn(self, task_id: str) -> AsyncIterator[Lease]:
        async with self._lock(task_id):
            lease = await self._take(task_id)
            while lease is None:
                await asyncio.sleep(LEASE_POLL_S)
                lease = await self._take(task_id)
            async with self._released(lease):
                yield lease

    async def _take(self, task_id: str) -> Lease | None:
        return await self._leases.take(task_id, self._replica_id)

    @asynccontextmanager
    async def _released(self, lease: Lease) -> AsyncIterator[None]:
        try:
            yield
        finally:
            # A lease that could not be released stays with this replica, which may take it again.
            with suppress(ServiceError):
                await self._leases.release(lease)

    async def _taken(self, step: Callable[[Lease], Awaitable[Task]], lease: Lease) -> Task:
        try:
            task = await step(lease)
        except StaleLeaseError:
            return await self._overtaken(lease)
        if task.state is TaskState.STARTING and task.task_id not in self._watched:
            self._watched.add(task.task_id)
            job = self._jobs.begin(self._watch_start(task.task_id), name=f"start of {task.task_id}")
            job.add_done_callback(lambda _: self._watched.discard(task.task_id))
        return task

    async def _overtaken(self, lease: Lease) -> Task:
        log.warning("another replica has taken over", task_id=lease.task_id)
        return await self._tasks.get(lease.task_id)

    async def _watch_start(self, task_id: str) -> None:
        """Follow a starting task until it is on air or has failed, under one lease.

        A stop by any replica wakes the watch, and is carried out here.
        """
        with self._notifier.watching(task_id) as news, self._steps.starts.watching():
            async with self._turn(task_id) as lease:
                for pause_s in self._pauses_s():
                    await _news_within(news, pause_s)
                    try:
                        task = await self._steps.check(lease)
                    except StaleLeaseError:
                        await self._overtaken(lease)
                        return
                    except ServiceError as error:
                        log.warning(
                            "step of a task failed", task_id=task_id, reason=error.reason.value
                        )
                    else:
                        if task.state is not TaskState.STARTING:
                            return

    def _pauses_s(self) -> Iterator[float]:
        pace = self._steps.pace
        alone_s = pace.poll_s
        while True:
            yield self._steps.starts.pause_s(alone_s=alone_s, shortest_s=pace.poll_s)
            alone_s = min(2 * alone_s, pace.slowest_poll_s)


async def _news_within(news: Watch, pause_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await news.wait()
