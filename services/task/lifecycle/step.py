"""One step of a task: what the cloud says about it, and what follows from that."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason, Recovery
from services.task.domain.tasks import (
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
from services.task.lifecycle.starts import Starts
from services.task.ports.cloud import Avatar, AvatarState, Cloud
from services.task.ports.conversations import Conversations
from services.task.ports.leases import Lease
from services.task.ports.tasks import Tasks
from services.task.telemetry import note_move

log = structlog.get_logger(__name__)

START_FAILED = Failure(reason=Reason.AVATAR_START_FAILED, message="The avatar did not come on air.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the service is with the cloud.

    An order without an answer counts as lost if the cloud lists no avatar for it `settle_s` after
    its creation, which is longer than an answer may take. Polls of a starting avatar begin `poll_s`
    apart and slow down to `slowest_poll_s`; several that start share a list every `list_s`.
    """

    start_timeout_s: float = 60.0
    settle_s: float = 45.0
    poll_s: float = 0.2
    slowest_poll_s: float = 2.0
    list_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Takes steps of tasks, each under a lease, so that no other replica takes one meanwhile.

    A step reads the journal, asks the cloud, and records what it learnt. It can be repeated at any
    time, so whatever a crash or a lost answer interrupted continues from the journal. Every method
    raises ServiceError when the cloud does not answer, and StaleLeaseError when another replica has
    taken the task over; then nothing was recorded.
    """

    tasks: Tasks
    conversations: Conversations
    cloud: Cloud
    starts: Starts
    clock: Clock
    pace: Pace
    on_change: Callable[[Task], None] = lambda _: None

    async def order(self, lease: Lease) -> Task:
        """Order the avatar of a task that was just recorded.

        Raises ServiceError: the task has failed if the cloud refused it; otherwise it stays in
        CREATING until `check` finds out what became of the order.
        """
        task = await self.tasks.get(lease.task_id)
        if task.state is not TaskState.CREATING:
            return await self._change(lease, partial(stopped, at=self.clock()))
        try:
            avatar = await self.cloud.start_avatar(task)
        except ServiceError as error:
            # After any other error the cloud may have taken the order: only its list shows that.
            if RULES[error.reason].has_no_effect:
                await self._refuse(lease, Failure(reason=error.reason, message=error.message))
            raise
        try:
            return await self._accept(lease, avatar, at=self.clock())
        except ServiceError as error:
            if RULES[error.reason].recovery is Recovery.OUTAGE:
                # Its caller gets a failure, and nothing else would say that it runs.
                await self.cloud.stop_avatar(avatar.avatar_id)
            raise

    async def check(self, lease: Lease) -> Task:
        """Ask the cloud about a task and act on the answer."""
        task = await self.tasks.get(lease.task_id)
        match task.state:
            case TaskState.CREATING:
                return await self._settle(lease, task)
            case TaskState.STARTING:
                return await self._check_start(lease, task)
            case TaskState.STREAMING:
                return await self._check_stream(lease, task)
            case TaskState.STOPPING:
                return await self._finish(lease, task)
            case _:
                return task

    async def _change(self, lease: Lease, change: Callable[[Task], Task]) -> Task:
        """Record what was learnt, unless a stop has overtaken it."""
        try:
            before, after = await self.tasks.change(lease.task_id, change, lease=lease)
        except IllegalTransition:
            return await self.tasks.get(lease.task_id)
        self.on_change(after)
        if before.state != after.state:
            note_move(after, now=self.clock())
            log.info("task moved", task_id=after.task_id, state=after.state.value)
        return after

    async def _accept(self, lease: Lease, avatar: Avatar, *, at: datetime) -> Task:
        change = partial(
            accepted,
            avatar_id=avatar.avatar_id,
            digital_human_id=avatar.digital_human_id,
            at=at,
        )
        return await self._change(lease, change)

    async def _adopt(self, lease: Lease, task: Task, avatar: Avatar) -> Task:
        # The cloud's clock is not ours and counts whole seconds: an order cannot predate its task.
        taken = max(avatar.create_time or self.clock(), task.create_time)
        return await self._accept(lease, avatar, at=min(taken, self.clock()))

    async def _refuse(self, lease: Lease, failure: Failure) -> Task:
        return await self._change(lease, partial(refused, failure=failure, at=self.clock()))

    async def _settle(self, lease: Lease, task: Task) -> Task:
        """Find out what became of an order without an answer."""
        avatar = await self._find_avatar(task)
        if avatar is None:
            return await self._refuse(lease, START_FAILED) if self._is_settled(task) else task
        if await self.tasks.is_repeatable(task.task_id):
            return await self._adopt(lease, task, avatar)
        # No caller knows of this task, and none can ask for it again.
        task = await self._change(lease, partial(stopping, reason=StopReason.RECONCILED))
        return await self._finish(lease, await self._adopt(lease, task, avatar))

    async def _check_start(self, lease: Lease, task: Task) -> Task:
        try:
            avatar = await self.starts.look(task.avatar_id)
        except ServiceError:
            if not self._is_late(task):
                raise
            avatar = None
        match avatar.state if avatar else None:
            case AvatarState.STREAMING:
                return await self._change(lease, partial(on_air, at=self.clock()))
            case AvatarState.STARTING | AvatarState.UNKNOWN if not self._is_late(task):
                return task
            case _:
                log.warning(
                    "avatar did not start",
                    task_id=task.task_id,
                    state=avatar and avatar.state.value,
                    fail_reason=avatar and avatar.fail_reason,
                )
                failed = await self._change(lease, partial(failing, failure=START_FAILED))
                return await self._finish(lease, failed)

    async def _check_stream(self, lease: Lease, task: Task) -> Task:
        now = self.clock()
        if task.expire_time <= now:
            return await self._stop(lease, task.expire_reason)
        if task.is_unclaimed(now):
            return await self._stop(lease, StopReason.CLIENT_GONE)
        avatar = await self.cloud.get_avatar(task.avatar_id)
        if avatar and avatar.state not in (AvatarState.STOPPED, AvatarState.FAILED):
            return task
        last_turn_time = await self.conversations.last_turn_time(task.task_id)
        reason, at = end_by_cloud(task, last_turn_time=last_turn_time, now=now)
        return await self._change(lease, partial(ended, reason=reason, at=at))

    async def _stop(self, lease: Lease, reason: StopReason) -> Task:
        task = await self._change(lease, partial(stopping, reason=reason))
        return await self._finish(lease, task)

    async def _finish(self, lease: Lease, task: Task) -> Task:
        """Stop what is running for a task in STOPPING, and only then mark it stopped."""
        if not task.avatar_id:
            avatar = await self._find_avatar(task)
            if avatar is None and not self._is_settled(task):
                return task
            if avatar is not None:
                task = await self._adopt(lease, task, avatar)
        if task.avatar_id:
            await self.cloud.stop_avatar(task.avatar_id)
        return await self._change(lease, partial(stopped, at=self.clock()))

    async def _find_avatar(self, task: Task) -> Avatar | None:
        for avatar in await self.cloud.list_avatars():
            if (avatar.room_id, avatar.stream_id) == (task.room_id, task.stream_id):
                return avatar
        return None

    def _is_settled(self, task: Task) -> bool:
        return (self.clock() - task.create_time).total_seconds() >= self.pace.settle_s

    def _is_late(self, task: Task) -> bool:
        since = task.accept_time or task.create_time
        return (self.clock() - since).total_seconds() >= self.pace.start_timeout_s
