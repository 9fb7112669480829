"""Creates, stops and refreshes tasks for callers who may disconnect or retry."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.failures.retry import RetrySchedule
from services.task.domain.audit import Action, deed
from services.task.domain.tasks import (
    StopReason,
    Task,
    TaskState,
    asked_again,
    claimed,
    stopping,
)
from services.task.jobs import Jobs
from services.task.lifecycle.off_air import UnrecordedStops, is_outage
from services.task.lifecycle.state_machine import TaskStateMachine
from services.task.ports.tasks import LONGEST_WAIT_S, SHORTEST_WAIT_S, Quota, Request, Tasks

log = structlog.get_logger(__name__)

RETURN_APART_S = 0.5
"""Between the times at which callers for whom there is no place are asked to come back."""


class LifeCycle:
    """Carries out what callers ask for, to the end once begun, whether they wait or not."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        state_machine: TaskStateMachine,
        jobs: Jobs,
        quota: Quota,
        unrecorded: UnrecordedStops,
        stop_patience_s: float,
    ) -> None:
        self._tasks = tasks
        self._state_machine = state_machine
        self._jobs = jobs
        self._quota = quota
        self._unrecorded = unrecorded
        self._stop_patience_s = stop_patience_s
        self._returns = RetrySchedule(apart_s=RETURN_APART_S, longest_s=LONGEST_WAIT_S)
        self._creations: dict[Request, asyncio.Task[tuple[Task, bool]]] = {}

    async def create(
        self, task: Task, request: Request | None, call_facts: bytes = b""
    ) -> tuple[Task, bool]:
        """Create a task and order its avatar; return it, and whether an earlier call created it.

        Calls with the same request share one task, and its failure. Raises ServiceError.
        """
        running = self._creations.get(request) if request else None
        if running is not None:
            made, _ = await asyncio.shield(running)
            return made, True
        creation = self._jobs.begin(
            self._create(task, request, call_facts), name=f"create {task.task_id}"
        )
        if request is not None:
            self._creations[request] = creation
            creation.add_done_callback(lambda _: self._creations.pop(request))
        try:
            return await asyncio.shield(creation)
        except asyncio.CancelledError:
            if request is None:
                self._jobs.begin(self._abandon(creation), name=f"abandon {task.task_id}")
            raise

    async def claim(self, task_id: str) -> Task:
        """Record that the task's creator knows of it. Raises ServiceError."""
        _, task = await self._tasks.change(task_id, claimed)
        return task

    async def stop(
        self, task_id: str, reason: StopReason, request: Request | None = None
    ) -> tuple[Task, bool]:
        """Stop a task; return it, and whether it was already stopping or stopped.

        It is returned in STOPPING when the cloud takes too long to answer. Raises ServiceError.
        """
        try:
            before, after = await self._tasks.change(
                task_id,
                partial(stopping, reason=reason),
                request,
                deed=deed(Action.TASK_STOPPED, task_id),
            )
        except ServiceError as error:
            if is_outage(error):
                await self._unrecorded.stop(task_id, reason)
            raise
        is_repeat = before.state is TaskState.STOPPING or before.state.is_final
        if not after.state.is_final:
            await asyncio.wait({self._begin_stop(task_id)}, timeout=self._stop_patience_s)
        return await self._tasks.get(task_id), is_repeat

    async def end(self, task_id: str, change: Callable[[Task], Task]) -> tuple[Task, Task]:
        """Stop a task if `change` makes it stopping, and wait for nothing; return it before, after.

        Raises ServiceError.
        """
        before, after = await self._tasks.change(task_id, change)
        if before.state is not after.state:
            self._begin_stop(task_id)
        return before, after

    async def refresh(self, task_id: str) -> Task:
        """Return a task after asking the cloud about it; as recorded if the cloud is silent."""
        await self._tasks.get(task_id)
        refresh = self._jobs.begin(self._refresh(task_id), name=f"refresh {task_id}")
        await asyncio.shield(refresh)
        return await self._tasks.get(task_id)

    async def _create(
        self, task: Task, request: Request | None, call_facts: bytes
    ) -> tuple[Task, bool]:
        try:
            known = await self._state_machine.create(task, request, self._quota, call_facts)
        except ServiceError as error:
            if error.reason is Reason.CAPACITY_EXCEEDED:
                error.retry_after_s = self._returns.next_s(soonest_s=SHORTEST_WAIT_S)
            raise
        if known.task_id == task.task_id:
            return known, False
        known, _ = await self._tasks.change(
            known.task_id, partial(asked_again, claim_by=task.claim_by)
        )
        if known.state is not TaskState.CREATING:
            return known, True
        # The first call has no answer from the cloud, or not yet.
        await self._check(known.task_id)
        found = await self._tasks.get(known.task_id)
        if found.failure is not None:
            raise ServiceError(found.failure.reason, found.failure.message)
        return found, True

    def _begin_stop(self, task_id: str) -> asyncio.Task[None]:
        return self._jobs.begin(self._check(task_id), name=f"stop {task_id}")

    async def _check(self, task_id: str) -> None:
        try:
            await self._state_machine.check(task_id)
        except ServiceError as error:
            log.warning("step of a task failed", task_id=task_id, reason=error.reason.value)

    async def _refresh(self, task_id: str) -> None:
        try:
            await self._state_machine.refresh(task_id)
        except ServiceError as error:
            log.warning("step of a task failed", task_id=task_id, reason=error.reason.value)

    async def _abandon(self, creation: asyncio.Task[tuple[Task, bool]]) -> None:
        """Stop the task of a caller who disconnected and cannot ask for it again."""
        await asyncio.wait({creation})
        if not creation.cancelled() and creation.exception() is None:
            task, _ = creation.result()
            await self.stop(task.task_id, StopReason.CLIENT_GONE)
