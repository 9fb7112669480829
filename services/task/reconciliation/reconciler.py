"""Periodically compares what should run with what the cloud runs, and fixes the difference."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from services.runtime.failures.errors import ServiceError
from services.task.domain.tasks import Clock, Task
from services.task.lifecycle.off_air import KnownAvatars
from services.task.lifecycle.state_machine import TaskStateMachine
from services.task.ports.cloud import Avatar, Cloud
from services.task.ports.conversations import Conversations
from services.task.ports.leases import Lease, Leases
from services.task.ports.replicas import Replicas
from services.task.ports.search import TaskSearch
from services.task.ports.tasks import Tasks
from services.task.reconciliation.abandoned import close_abandoned_turns
from services.task.reconciliation.findings import Finding, about_stray, find_due, is_stray
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
        replicas: Replicas,
        leases: Leases,
        tasks: Tasks,
        search: TaskSearch,
        conversations: Conversations,
        cloud: Cloud,
        state_machine: TaskStateMachine,
        clock: Clock,
        avatars: KnownAvatars,
        owns_account: bool = False,
    ) -> None:
        self._replica_id = replica_id
        self._replicas = replicas
        self._leases = leases
        self._tasks = tasks
        self._search = search
        self._conversations = conversations
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
        await self._tasks.forget_requests()
        if await self._replicas.lead(SWEEP, self._replica_id):
            await self._sweep()
        else:
            self._counted_to = self._clock()
            forget_live()
        await self._take_due()

    async def find(self) -> Sequence[Finding]:
        """Return what differs between the tasks and what the cloud runs; changes nothing.

        Raises ServiceError, also when the cloud does not list its avatars.
        """
        tasks = await self._search.live()
        avatars = _by_id(await self._cloud.list_avatars())
        return [
            *find_due(tasks, avatars, now=self._clock()),
            *[
                about_stray(avatar)
                for avatar in avatars.values()
                if is_stray(avatar, await self._owners(avatar), owns_account=self._owns_account)
            ],
        ]

    async def settle(self) -> None:
        """Settle now what differs, together with all replicas. Raises ServiceError."""
        await self._compare(await self._search.live())
        await self._take_due()

    async def _take_due(self) -> None:
        while due := await self._due():
            await _attempt_all(self._state_machine.resume(lease) for lease in due)

    async def _due(self) -> Sequence[Lease]:
        return await self._leases.take_due(
            self._replica_id, limit=DUE_TASKS, busy=self._state_machine.busy
        )

    async def _sweep(self) -> None:
        # Read before the list is requested, so that no task is missed in a list older than itself.
        tasks = await self._search.live()
        note_live(tasks)
        await self._compare(tasks)

    async def _compare(self, tasks: Sequence[Task]) -> None:
        listed_at = self._clock()
        self._avatars.note_all(tasks)
        avatars = await self._list()
        due = {each.task_id for each in find_due(tasks, avatars, now=listed_at)}
        await self._leases.mark_due(sorted(due - self._state_machine.busy))
        await _attempt_all(
            self._stop_if_stray(avatar, listed_at)
            for avatar in (avatars.values() if avatars else ())
        )
        if avatars is not None:
            self._counted_to = listed_at
        await close_abandoned_turns(self._conversations, self._clock)

    async def _list(self) -> Mapping[str, Avatar] | None:
        try:
            return _by_id(await self._cloud.list_avatars())
        except ServiceError as error:
            log.warning("cloud did not list its avatars", reason=error.reason.value)
            return None

    async def _owners(self, avatar: Avatar) -> Sequence[Task]:
        since = self._clock() - AVATAR_LIFE
        return await self._search.of_stream(avatar.room_id, avatar.stream_id, since=since)

    async def _stop_if_stray(self, avatar: Avatar, listed_at: datetime) -> None:
        owners = await self._owners(avatar)
        if is_stray(avatar, owners, owns_account=self._owns_account):
            leaked_s = _leaked_s(avatar, owners, counted_to=self._counted_to, until=listed_at)
            LEAKED_SECONDS.inc(leaked_s)
            log.warning("stray avatar found", avatar_id=avatar.avatar_id, leaked_s=leaked_s)
            await self._cloud.stop_avatar(avatar.avatar_id)


def _by_id(avatars: Sequence[Avatar]) -> Mapping[str, Avatar]:
    return {avatar.avatar_id: avatar for avatar in avatars}


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
            log.warning("step of a task failed", reason=error.reason.value)
        except Exception:
            log.exception("reconciliation step failed unexpectedly")


def _leaked_s(
    avatar: Avatar, owners: Sequence[Task], *, counted_to: datetime | None, until: datetime
) -> float:
    """Return how long a stray avatar has run for nobody, as far as it is not counted yet."""
    ends = [task.stop_time for task in owners if task.avatar_id == avatar.avatar_id]
    # Of an undated avatar it is certain only that no earlier list counted it.
    began = max(filter(None, ends), default=None) or avatar.create_time or counted_to or until
    since = max(began, counted_to or began)
    return max(0.0, (until - since).total_seconds())
