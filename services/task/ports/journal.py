"""The journal: all that is kept of tasks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.task.domain.audit import Deed
from services.task.domain.conversation import (
    Conversation,
    ConversationEvent,
    OpenTurn,
    RecordedTurn,
    TaskEvent,
)
from services.task.domain.tasks import Task
from services.task.domain.usage import (
    Budget,
    Overspent,
    Position,
    Spending,
    UsageFilter,
    UsageRow,
    Window,
)
from services.task.ports.clients import Client
from services.task.ports.erasure import Removal
from services.task.ports.leases import Lease
from services.task.ports.logs import Snapshot
from services.task.ports.replicas import Replica
from services.task.ports.search import TaskFilter
from services.task.ports.tasks import Quota, Request


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
