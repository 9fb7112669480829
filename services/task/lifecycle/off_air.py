"""Takes avatars off air while the journal cannot be written: the cloud bills them all the same."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

import structlog

from services.runtime.callers.caller import current_caller
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Recovery
from services.task.domain.tasks import StopReason, Task, stopping
from services.task.jobs import Jobs
from services.task.lifecycle.state_machine import TaskStateMachine
from services.task.ports.cloud import Cloud
from services.task.ports.tasks import Tasks

log = structlog.get_logger(__name__)

RECORDED_EVERY_S = 1.0
"""How often it is tried to record a stop."""


def is_outage(error: ServiceError) -> bool:
    """Whether an error of the journal says that it cannot be used at the moment."""
    return RULES[error.reason].recovery is Recovery.OUTAGE


class KnownAvatars:
    """The avatars of live tasks, for when the journal cannot even be read."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def note(self, task: Task) -> None:
        """Remember the avatar of a task, until the task is over."""
        if task.state.is_final:
            self._tasks.pop(task.task_id, None)
        else:
            self._tasks[task.task_id] = task

    def note_all(self, tasks: Iterable[Task]) -> None:
        """Remember the avatars of all live tasks, and no others."""
        self._tasks = {task.task_id: task for task in tasks}

    def of(self, task_id: str) -> str:
        """Return the avatar of a task that the caller sees; empty when none is known."""
        task = self._tasks.get(task_id)
        return task.avatar_id if task and task.is_seen_by(current_caller()) else ""


class UnrecordedStops:
    """Stops tasks in the cloud first, and records it when that is possible again."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        cloud: Cloud,
        state_machine: TaskStateMachine,
        avatars: KnownAvatars,
        jobs: Jobs,
    ) -> None:
        self._tasks = tasks
        self._cloud = cloud
        self._state_machine = state_machine
        self._avatars = avatars
        self._jobs = jobs
        self._owed: set[str] = set()

    async def stop(self, task_id: str, reason: StopReason) -> None:
        """Have the cloud stop a task's avatar, and see to the record in the background."""
        if task_id not in self._owed:
            self._owed.add(task_id)
            recording = self._jobs.begin(self._record(task_id, reason), name=f"stop {task_id}")
            recording.add_done_callback(lambda _: self._owed.discard(task_id))
        avatar_id = self._avatars.of(task_id)
        with suppress(ServiceError):
            avatar_id = (await self._tasks.get(task_id)).avatar_id
        if not avatar_id:
            return
        try:
            await self._cloud.stop_avatar(avatar_id)
        except ServiceError as error:
            log.warning("step of a task failed", task_id=task_id, reason=error.reason.value)
        else:
            log.warning("stopped without a record", task_id=task_id)

    async def _record(self, task_id: str, reason: StopReason) -> None:
        while True:
            await asyncio.sleep(RECORDED_EVERY_S)
            try:
                await self._tasks.change(task_id, partial(stopping, reason=reason))
                await self._state_machine.check(task_id)
            except ServiceError as error:
                if not is_outage(error):
                    raise
            else:
                return
