"""Periodically compares what should run with what the cloud runs, and fixes the difference."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from services.runtime.errors import ServiceError
from services.task.abandoned import close_abandoned_turns
from services.task.off_air import KnownAvatars
from services.task.ports import Avatar, AvatarState, Cloud, Journal, Lease
from services.task.state_machine import TaskStateMachine
from services.task.tasks import Clock, Task, TaskState
from services.task.telemetry import LEAKED_SECONDS, forget_live, note_live

log = structlog.get_logger(__name__)

SWEEP = "sweep"
"""The duty of listing the cloud, which one replica has."""
CONCURRENCY = 8
DUE_TASKS = 4 * CONCURRENCY
# A little more than the longest time the cloud runs an avatar: older tasks cannot have one.
AVATAR_LIFE = timedelta(hours=25)


class Reconciler:
    """Cleans up after crashes, lost answers and the cloud itself.

    It touches only avatars whose room and stream are in the journal, as others share the account,
    unless that is ours alone.
    """

    def __init__(
        self,
        *,
        replica_id: str,
        journal: Journal,
        cloud: Cloud,
        state_machine: TaskStateMachine,
        clock: Clock,
        avatars: KnownAvatars,
        owns_account: bool = False,
    ) -> None:
        self._replica_id = replica_id
        self._journal = journal
        self._cloud = cloud
        self._state_machine = state_machine
        self._clock = clock
        self._counted_to: datetime | None = None
        """Until when this replica or another one has counted what strays ran."""
        self._avatars = avatars
        self._owns_account = owns_account

    async def run(self, interval_s: float) -> None:
        """Reconcile now and then every `interval_s`, until cancelled."""
        while True:
            try:
                await self.reconcile()
            except ServiceError as error:
                log.warning("reconciliation failed", reason=error.reason.value)
            except Exception:
                log.exception("reconciliation failed unexpectedly")
            await asyncio.sleep(interval_s)

    async def reconcile(self) -> None:
        """Check every live task and every avatar once.

        One replica lists the cloud and finds what to look at; all of them share the looking.
        """
        await self._journal.forget_requests()
        if await self._journal.lead(SWEEP, self._replica_id):
            await self._sweep()
        else:
            self._counted_to = self._clock()
            forget_live()
        while due := await self._due():
            await _attempt_all(self._state_machine.resume(lease) for lease in due)

    async def _due(self) -> Sequence[Lease]:
        return await self._journal.take_due(
            self._replica_id, limit=DUE_TASKS, busy=self._state_machine.busy
        )

    async def _sweep(self) -> None:
        # Read before the list is requested, so that no task is missed in a list older than itself.
        tasks = await self._journal.live()
        note_live(tasks)
        listed_at = self._clock()
        self._avatars.note_all(tasks)
        avatars = await self._list()
        await self._journal.mark_due(
            [task.task_id for task in tasks if self._needs_check(task, avatars)]
        )
        await _attempt_all(
            self._stop_if_stray(avatar, listed_at)
            for avatar in (avatars.values() if avatars else ())
        )
        if avatars is not None:
            self._counted_to = listed_at
        await close_abandoned_turns(self._journal, self._clock)

    async def _list(self) -> Mapping[str, Avatar] | None:
        try:
            avatars: Sequence[Avatar] = await self._cloud.list_avatars()
        except ServiceError as error:
            log.warning("cloud did not list its avatars", reason=error.reason.value)
            return None
        return {avatar.avatar_id: avatar for avatar in avatars}

    def _needs_check(self, task: Task, avatars: Mapping[str, Avatar] | None) -> bool:
        if task.task_id in self._state_machine.busy:
            return False
        match task.state:
            case TaskState.STOPPING:
                return True
            case TaskState.STREAMING if self._is_due(task):
                return True
            case TaskState.STREAMING:
                return avatars is not None and not _is_on_air(avatars.get(task.avatar_id))
            case _:
                return avatars is not None

    def _is_due(self, task: Task) -> bool:
        now = self._clock()
        return task.expire_time <= now or task.is_unclaimed(now)

    async def _stop_if_stray(self, avatar: Avatar, listed_at: datetime) -> None:
        owners = await self._journal.of_stream(
            avatar.room_id, avatar.stream_id, since=self._clock() - AVATAR_LIFE
        )
        is_ours = self._owns_account or bool(owners)
        if is_ours and not any(_may_own(task, avatar) for task in owners):
            leaked_s = _leaked_s(avatar, owners, counted_to=self._counted_to, until=listed_at)
            LEAKED_SECONDS.inc(leaked_s)
            log.warning("stray avatar found", stream_id=avatar.stream_id, leaked_s=leaked_s)
            await self._cloud.stop_avatar(avatar.avatar_id)


async def _attempt_all(steps: Iterable[Awaitable[object]]) -> None:
    """Take steps, a few at a time."""
    places = asyncio.Semaphore(CONCURRENCY)
    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(_attempt(step, places))


async def _attempt(step: Awaitable[object], places: asyncio.Semaphore) -> None:
    """Take one step; its failure affects no other, and the next reconciliation tries again."""
    async with places:
        try:
            await step
        except ServiceError as error:
            log.warning("cloud did not answer", reason=error.reason.value)
        except Exception:
            log.exception("reconciliation step failed unexpectedly")


def _is_on_air(avatar: Avatar | None) -> bool:
    return avatar is not None and avatar.state in (AvatarState.STARTING, AvatarState.STREAMING)


def _leaked_s(
    avatar: Avatar, owners: Sequence[Task], *, counted_to: datetime | None, until: datetime
) -> float:
    """Return how long a stray avatar has run for nobody, as far as it is not counted yet."""
    ends = [task.stop_time for task in owners if task.avatar_id == avatar.avatar_id]
    # Of an undated avatar it is certain only that no earlier list counted it.
    began = max(filter(None, ends), default=None) or avatar.create_time or counted_to or until
    since = max(began, counted_to or began)
    return max(0.0, (until - since).total_seconds())


def _may_own(task: Task, avatar: Avatar) -> bool:
    return not task.state.is_final and task.avatar_id in ("", avatar.avatar_id)
