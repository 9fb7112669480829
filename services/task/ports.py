"""What tasks need from outside: the cloud that runs avatars, and storage with its notifier."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from services.runtime.callers.caller import DEFAULT_TENANT, Caller
from services.runtime.callers.tenants import NO_QUOTAS, Tenants
from services.task.domain.audit import AuditLog, Deed
from services.task.domain.conversation import (
    Conversation,
    ConversationEvent,
    OpenTurn,
    RecordedTurn,
    TaskEvent,
)
from services.task.domain.credentials import Credentials
from services.task.domain.tasks import Task, TaskState
from services.task.domain.usage import (
    Budget,
    Overspent,
    Position,
    Spending,
    UsageFilter,
    UsageRow,
    Window,
)
from services.task.webhooks.ports import WebhookStore

REQUEST_LIFE = timedelta(hours=24)
"""How long a call may be repeated with its request id."""

CLOSING_GRACE = timedelta(seconds=30)
"""How long after the end of a task the turns that were running may still be closed."""


class AvatarState(StrEnum):
    """Where an avatar is in its life, according to the cloud."""

    UNKNOWN = "UNKNOWN"
    STARTING = "STARTING"
    STREAMING = "STREAMING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """One avatar in the cloud; `fail_reason` is for operators."""

    avatar_id: str
    state: AvatarState
    room_id: str
    stream_id: str
    digital_human_id: str = ""
    fail_reason: str = ""
    create_time: datetime | None = None


class Cloud(Protocol):
    """Runs avatars. Every method has its own deadline and raises ServiceError."""

    async def start_avatar(self, task: Task) -> Avatar:
        """Order a task's avatar; the reason of an error says whether one may be running anyway."""

    async def stop_avatar(self, avatar_id: str) -> None:
        """Stop an avatar; succeeds if it is stopped or unknown."""

    async def get_avatar(self, avatar_id: str) -> Avatar | None:
        """Return an avatar, or None when the cloud does not know it."""

    async def list_avatars(self) -> Sequence[Avatar]:
        """Return all avatars of the account that are starting or on air, other users' included."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks to list; empty fields do not restrict."""

    states: tuple[TaskState, ...] = ()
    user_id: str = ""
    avatar_id: str = ""
    is_of_every_tenant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A task and the sequence of the last event that it reflects."""

    task: Task
    last_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """How many tasks a step has removed, and whether more is left."""

    tasks: int
    has_more: bool


LEASE_S = 4.0
"""How long a replica that shows no sign of life keeps what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A process that can hold leases; `address` is where callers reach it, empty for nowhere."""

    replica_id: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to take the steps of a task; `fence` is higher than that of every lease before."""

    task_id: str
    tenant_id: str = DEFAULT_TENANT
    fence: int


def first_lease(task: Task) -> Lease:
    """Return the lease under which a new task is recorded."""
    return Lease(task_id=task.task_id, tenant_id=task.tenant_id, fence=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Somebody who is there for a task, or says so."""

    task_id: str
    caller: Caller


class StaleLeaseError(Exception):
    """Another replica has taken a lease over, since this one showed no sign of life."""


class Journal(Protocol):
    """Keeps tasks, their events and conversations, and the requests that were answered.

    Every method is one transaction: what it returns is durable, and if it raises, nothing changed.
    A caller that is cancelled leaves its transaction either complete or not begun. A task that does
    not exist is a ServiceError with TASK_NOT_FOUND. When the database is away, every method raises
    one with DEPENDENCY_UNAVAILABLE, or with JOURNAL_UNAVAILABLE when its disk or file is at fault;
    only then may something have changed nevertheless.

    Methods that take the id of a task or a filter work for the `current_caller`: what that does not
    see does not exist. Those that say `of all tenants` are for sweeps, which then act for the
    tenant of each task that they find.

    Whatever adds to a task's log (`add`, `change`, `append`) wakes those who watch the task, once
    the addition can be read and not before; a transaction that raised wakes nobody.
    """

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

    async def of_avatar(self, avatar_id: str) -> Task | None:
        """Return the newest task, of all tenants, with an avatar; None if there is none."""

    async def live(self) -> Sequence[Task]:
        """Return all tasks of all tenants that are not in a final state."""

    async def of_stream(self, room_id: str, stream_id: str, *, since: datetime) -> Sequence[Task]:
        """Return the tasks, of all tenants, for a room and stream that were created after a moment.

        As the cloud knows their names.
        """

    async def is_repeatable(self, task_id: str) -> bool:
        """Return whether a request id leads to the task, whosever it is."""

    async def page(self, wanted: TaskFilter, *, before: str, size: int) -> Sequence[Task]:
        """Return up to `size` tasks with ids below `before` (empty: the newest), newest first."""

    async def snapshot(self, task_id: str) -> Snapshot:
        """Return a task and its last sequence, read together."""

    async def events_after(
        self, task_id: str, sequence: int, *, limit: int
    ) -> tuple[Sequence[TaskEvent], bool]:
        """Return the next events, and whether nothing can follow them."""

    async def append(
        self,
        task_id: str,
        events: Sequence[ConversationEvent],
        *,
        closing_grace: timedelta,
        epoch: int | None = None,
    ) -> int:
        """Append events to a conversation, skipping those it has; return its last sequence.

        An event makes its task claimed. A final task takes, until `closing_grace` after its end,
        only what happened before that end and the rest of turns that were running. Raises
        ServiceError: EVENTS_OUT_OF_ORDER, TASK_ENDED, and CONVERSATION_MOVED when the `epoch` is
        not that of the conversation, or another event has the sequence of one of these.
        """

    async def conversation(
        self, task_id: str, *, after_turn_id: int, after_sequence: int | None
    ) -> Conversation:
        """Return a page of what was said in a task after a turn and an event.

        `after_turn_id` 0 starts with the first turn; `after_sequence` None returns no events. Turns
        and events each take up to PAGE_BYTES, but at least one of each is returned if there is any.
        Raises ServiceError with SEQUENCE_OUT_OF_RANGE.
        """

    async def turn(self, task_id: str, turn_id: int) -> RecordedTurn:
        """Return a turn of a task. Raises ServiceError with TURN_NOT_FOUND."""

    async def abandoned_turns(self, *, ended_before: datetime, limit: int) -> Sequence[OpenTurn]:
        """Return turns of all tenants that nobody will close: their tasks have ended.

        Either that was before a moment, or the owner of the conversation is no longer alive.
        """

    async def last_turn_time(self, task_id: str) -> datetime | None:
        """Return when the last turn of a task's conversation ended, or began if it still runs.

        Whosever the task is.
        """

    async def keep_replica(self, replica: Replica) -> None:
        """Keep a replica alive for LEASE_S; it takes the place of an older one at its address."""

    async def forget_replica(self, replica_id: str) -> None:
        """Free what a replica holds, as it is about to end."""

    async def take(self, task_id: str, replica_id: str) -> Lease | None:
        """Take a task's lease for a replica; None while another one that is alive has it."""

    async def release(self, lease: Lease) -> None:
        """Give a lease back, unless it was taken over."""

    async def lead(self, duty: str, replica_id: str) -> bool:
        """Return whether a replica is the one that has a duty, which it keeps while it is alive."""

    async def mark_due(self, task_ids: Sequence[str]) -> None:
        """Have some replica look at tasks of all tenants."""

    async def take_due(
        self, replica_id: str, *, limit: int, busy: Collection[str]
    ) -> Sequence[Lease]:
        """Take the leases of tasks to look at, but none that another replica holds, or `busy`.

        Of all tenants.
        """

    async def wake(self, task_id: str) -> None:
        """Wake everyone who watches a task, on every replica."""

    async def claim_conversation(self, task_id: str, replica_id: str) -> int:
        """Make a replica the owner of a task's conversation; return the epoch.

        Raises ServiceError: CONVERSATION_ELSEWHERE with the owner's address while that is alive,
        DEPENDENCY_UNAVAILABLE if the replica itself is not kept alive.
        """

    async def release_conversation(self, task_id: str, epoch: int) -> None:
        """Give a conversation back, unless it has moved."""

    async def note_seen(self, seen: Mapping[Client, datetime]) -> None:
        """Record when the clients of tasks were there, unless they had been a moment before.

        Tasks that may do without a client, are over or do not exist for it are left alone.
        """

    async def absent(self, *, noted_since: datetime) -> Sequence[Task]:
        """Return the tasks of all tenants whose clients are gone for too long.

        See Task.is_absent.
        """

    async def erase(self, task_id: str) -> bool:
        """Remove a part of what was said in a task that has ended; return whether more is left.

        From the first part on, nothing can be added. Raises ServiceError with TASK_NOT_ENDED.
        """

    async def erase_ended(self, *, before: datetime) -> bool:
        """Erase a part of the tasks, of all tenants, that ended before a time.

        Return whether more may be left.
        """

    async def remove_ended(self, *, before: datetime) -> bool:
        """Remove some erased tasks, of all tenants, that ended before a time.

        Return whether more may be left. What they cost stays part of `usage` by user.
        """

    async def forget_user(self, user_id: str) -> Removal:
        """Remove a part of all that is kept of a user.

        What the user's tasks cost becomes that of tasks of nobody. Raises ServiceError with
        TASK_NOT_ENDED while one of them runs.
        """

    async def usage(
        self, wanted: UsageFilter, *, after: Position | None, size: int
    ) -> Sequence[UsageRow]:
        """Return up to `size` rows of a report after a position (None: the first), in order."""

    async def overspent(self, budget: Budget, window: Window) -> Sequence[Overspent]:
        """Return the live tasks of a period, of all tenants, whose users are over their budgets."""

    async def spending(self, tenant_ids: Collection[str], day: Window) -> Mapping[str, Spending]:
        """Return what each of some tenants has used of a day."""

    async def forget_requests(self) -> None:
        """Delete the requests that are too old to be repeated."""


class Watch(Protocol):
    """One watcher of a task's log."""

    async def wait(self) -> None:
        """Return once the log may have grown since the previous call, or since the watch began.

        Raises ServiceError with DRAINING.
        """


class Notifier(Protocol):
    """Wakes the watchers of a task when the journal has more to read."""

    def watching(self, task_id: str) -> AbstractContextManager[Watch]:
        """Watch a task, known or not, while the block is open.

        A watch that begins before a snapshot is read misses nothing that comes after it.
        """

    def drain(self) -> None:
        """Have all watchers raise DRAINING, as they would otherwise wait forever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One backend, and the notifier that it wakes. `probe` raises ServiceError when it is away."""

    journal: Journal
    webhooks: WebhookStore
    audit: AuditLog
    notifier: Notifier
    credentials: Credentials
    probe: Callable[[], Awaitable[None]]
