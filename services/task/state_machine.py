"""Moves tasks to their next state, by what the journal and the cloud say."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

import structlog

from services.runtime.errors import ServiceError
from services.runtime.reasons import RULES, Reason
from services.task.jobs import Jobs
from services.task.ports import Avatar, AvatarState, Cloud, Journal
from services.task.tasks import (
    Clock,
    Failure,
    IllegalTransition,
    StopReason,
    Task,
    TaskState,
    accepted,
    end_by_cloud,
    ended,
    failing,
    on_air,
    refused,
    stopped,
    stopping,
)
from services.task.telemetry import note_move

log = structlog.get_logger(__name__)

START_FAILED = Failure(reason=Reason.AVATAR_START_FAILED, message="The avatar did not come on air.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the service is with the cloud.

    An order without an answer counts as lost if the cloud lists no avatar for it `settle_s` after
    its creation, which is longer than an answer may take. Polls of a starting avatar begin `poll_s`
    apart and slow down to `slowest_poll_s`.
    """

    start_timeout_s: float = 60.0
    settle_s: float = 45.0
    poll_s: float = 0.2
    slowest_poll_s: float = 2.0


class TaskStateMachine:
    """Takes the steps of tasks, never two at once for the same task.

    A step reads the journal, asks the cloud, and records what it learnt. It can be repeated at any
    time, so whatever a crash or a lost answer interrupted continues from the journal.
    """

    def __init__(
        self, *, journal: Journal, cloud: Cloud, jobs: Jobs, clock: Clock, pace: Pace
    ) -> None:
        self._journal = journal
        self._cloud = cloud
        self._jobs = jobs
        self._clock = clock
        self._pace = pace
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._watched: set[str] = set()

    def is_busy(self, task_id: str) -> bool:
        """Return whether a step of the task is in progress, or its start is being watched."""
        lock = self._locks.get(task_id)
        return task_id in self._watched or (lock is not None and lock.locked())

    async def order(self, task_id: str) -> Task:
        """Order the avatar of a task that was just recorded.

        Raises ServiceError: the task has failed if the cloud refused it; otherwise it stays in
        CREATING until `check` finds out what became of the order.
        """
        async with self._lock(task_id):
            task = await self._journal.get(task_id)
            if task.state is not TaskState.CREATING:
                return await self._change(task, partial(stopped, at=self._clock()))
            try:
                avatar = await self._cloud.start_avatar(task)
            except ServiceError as error:
                # After any other error the cloud may have taken the order: only its list tells.
                if RULES[error.reason].has_no_effect:
                    await self._refuse(task, Failure(reason=error.reason, message=error.message))
                raise
            return await self._accept(task, avatar, at=self._clock())

    async def check(self, task_id: str) -> Task:
        """Ask the cloud about a task and act on the answer. Raises ServiceError."""
        async with self._lock(task_id):
            task = await self._journal.get(task_id)
            match task.state:
                case TaskState.CREATING:
                    return await self._settle(task)
                case TaskState.STARTING:
                    return await self._check_start(task)
                case TaskState.STREAMING:
                    return await self._check_stream(task)
                case TaskState.STOPPING:
                    return await self._finish(task)
                case _:
                    return task

    def watch_start(self, task_id: str) -> None:
        """Follow a starting task until it is on air or has failed."""
        if task_id not in self._watched:
            self._watched.add(task_id)
            job = self._jobs.begin(self._follow_start(task_id), name=f"start of {task_id}")
            job.add_done_callback(lambda _: self._watched.discard(task_id))

    def _lock(self, task_id: str) -> asyncio.Lock:
        return self._locks.setdefault(task_id, asyncio.Lock())

    async def _change(self, task: Task, change: Callable[[Task], Task]) -> Task:
        """Record what was learnt, unless a stop has overtaken it."""
        try:
            before, after = await self._journal.change(task.task_id, change)
        except IllegalTransition:
            return await self._journal.get(task.task_id)
        if before.state != after.state:
            note_move(after, now=self._clock())
            log.info("task moved", task_id=task.task_id, state=after.state.value)
        if after.state is TaskState.STARTING and before.state is TaskState.CREATING:
            self.watch_start(task.task_id)
        return after

    async def _accept(self, task: Task, avatar: Avatar, *, at: datetime) -> Task:
        change = partial(
            accepted,
            avatar_id=avatar.avatar_id,
            digital_human_id=avatar.digital_human_id,
            at=at,
        )
        return await self._change(task, change)

    async def _adopt(self, task: Task, avatar: Avatar) -> Task:
        # The cloud's clock is not ours and counts whole seconds: an order cannot predate its task.
        taken = max(avatar.create_time or self._clock(), task.create_time)
        return await self._accept(task, avatar, at=min(taken, self._clock()))

    async def _refuse(self, task: Task, failure: Failure) -> Task:
        return await self._change(task, partial(refused, failure=failure, at=self._clock()))

    async def _settle(self, task: Task) -> Task:
        """Find out what became of an order without an answer."""
        avatar = await self._find_avatar(task)
        if avatar is None:
            return await self._refuse(task, START_FAILED) if self._is_settled(task) else task
        if await self._journal.is_repeatable(task.task_id):
            return await self._adopt(task, avatar)
        # No caller knows of this task, and none can ask for it again.
        task = await self._change(task, partial(stopping, reason=StopReason.RECONCILED))
        return await self._finish(await self._adopt(task, avatar))

    async def _check_start(self, task: Task) -> Task:
        try:
            avatar = await self._cloud.get_avatar(task.avatar_id)
        except ServiceError:
            if not self._is_late(task):
                raise
            avatar = None
        match avatar.state if avatar else None:
            case AvatarState.STREAMING:
                return await self._change(task, partial(on_air, at=self._clock()))
            case AvatarState.STARTING | AvatarState.UNKNOWN if not self._is_late(task):
                return task
            case _:
                log.warning(
                    "avatar did not start",
                    task_id=task.task_id,
                    state=avatar and avatar.state.value,
                    fail_reason=avatar and avatar.fail_reason,
                )
                return await self._finish(
                    await self._change(task, partial(failing, failure=START_FAILED))
                )

    async def _check_stream(self, task: Task) -> Task:
        now = self._clock()
        if task.expire_time <= now:
            change = partial(stopping, reason=StopReason.EXPIRED)
            return await self._finish(await self._change(task, change))
        if task.is_unclaimed(now):
            change = partial(stopping, reason=StopReason.CLIENT_GONE)
            return await self._finish(await self._change(task, change))
        avatar = await self._cloud.get_avatar(task.avatar_id)
        if avatar and avatar.state not in (AvatarState.STOPPED, AvatarState.FAILED):
            return task
        last_turn_time = await self._journal.last_turn_time(task.task_id)
        reason, at = end_by_cloud(task, last_turn_time=last_turn_time, now=now)
        return await self._change(task, partial(ended, reason=reason, at=at))

    async def _finish(self, task: Task) -> Task:
        """Stop what is running for a task in STOPPING, and only then mark it stopped."""
        if not task.avatar_id:
            avatar = await self._find_avatar(task)
            if avatar is None and not self._is_settled(task):
                return task
            if avatar is not None:
                task = await self._adopt(task, avatar)
        if task.avatar_id:
            await self._cloud.stop_avatar(task.avatar_id)
        return await self._change(task, partial(stopped, at=self._clock()))

    async def _find_avatar(self, task: Task) -> Avatar | None:
        for avatar in await self._cloud.list_avatars():
            if (avatar.room_id, avatar.stream_id) == (task.room_id, task.stream_id):
                return avatar
        return None

    def _is_settled(self, task: Task) -> bool:
        return (self._clock() - task.create_time).total_seconds() >= self._pace.settle_s

    def _is_late(self, task: Task) -> bool:
        since = task.accept_time or task.create_time
        return (self._clock() - since).total_seconds() >= self._pace.start_timeout_s

    async def _follow_start(self, task_id: str) -> None:
        pause_s = self._pace.poll_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._pace.slowest_poll_s)
            try:
                task = await self.check(task_id)
            except ServiceError as error:
                log.warning("cloud did not answer", task_id=task_id, reason=error.reason.value)
                continue
            if task.state is not TaskState.STARTING:
                return
