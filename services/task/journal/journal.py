"""The journal of tasks: rows, their events and the requests that created them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from services.runtime.callers.caller import current_caller
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.audit import Action, Deed, deed
from services.task.domain.conversation import (
    Conversation,
    ConversationEvent,
    OpenTurn,
    RecordedTurn,
    TaskEvent,
)
from services.task.domain.tasks import Clock, Task, TaskState
from services.task.domain.usage import (
    Budget,
    Grouping,
    Overspent,
    Position,
    Spending,
    UsageFilter,
    UsageRow,
    Window,
)
from services.task.jobs import Jobs
from services.task.journal import (
    audit,
    erasure,
    facts,
    leases,
    outbox,
    people,
    presence,
    record,
    requests,
    spending,
    tables,
    usage,
)
from services.task.journal.appending import Append, AppendQueue
from services.task.journal.database import Database, Transaction
from services.task.journal.rows import SqlValue, task_from_row, task_to_content, to_micros
from services.task.ports.clients import Client
from services.task.ports.erasure import Removal
from services.task.ports.leases import Lease
from services.task.ports.logs import Snapshot
from services.task.ports.replicas import Replica
from services.task.ports.search import TaskFilter
from services.task.ports.tasks import Quota, Request


class SqlJournal:
    """Keeps everything in one SQL database.

    Locks are taken in this order, so that no two transactions wait for each other: that of
    additions, that of a request, the rows of tasks by their ids.
    """

    def __init__(self, database: Database, clock: Clock, jobs: Jobs) -> None:
        self._database = database
        self._clock = clock
        self._appends = AppendQueue(database, clock, jobs)

    async def add(
        self,
        task: Task,
        request: Request | None,
        quota: Quota,
        *,
        replica_id: str = "",
        call_facts: bytes = b"",
    ) -> Task:
        """Record a new task, or return the one that an earlier call with the request created."""
        done = deed(Action.TASK_CREATED, task.task_id)

        async def work(transaction: Transaction) -> Task:
            # One addition at a time, in all processes: each counts what runs.
            await transaction.lock("additions")
            await requests.lock(transaction, request)
            now = self._clock()
            known = await requests.answered(transaction, request, now=now)
            recorded = await tables.find(transaction, known or task.task_id)
            if recorded is not None:
                return recorded
            await tables.check_stream(transaction, task)
            await tables.check_quota(transaction, task, quota)
            tenant_quota = quota.tenants.quota_of(task.tenant_id)
            await spending.check(transaction, task, tenant_quota, now=now)
            new = await usage.within_budget(transaction, task, quota.budget, now=now)
            await tables.insert(transaction, new)
            await facts.put(transaction, new.task_id, call_facts)
            await leases.record_first(transaction, new, replica_id)
            await requests.note(transaction, request, new.task_id, now=now)
            await self._note_state(transaction, new)
            await audit.note(transaction, done)
            return new

        return await self._database.transact(work)

    async def find_created(self, request: Request | None) -> Task:
        """Return the task that an earlier call with the request created."""

        async def work(transaction: Transaction) -> Task:
            known = await requests.answered(transaction, request, now=self._clock())
            if known is None:
                raise ServiceError(Reason.TASK_NOT_FOUND, "No task was made by this request.")
            return await tables.get(transaction, known)

        return await self._database.read(work)

    async def change(
        self,
        task_id: str,
        change: Callable[[Task], Task],
        request: Request | None = None,
        *,
        lease: Lease | None = None,
        deed: Deed | None = None,
    ) -> tuple[Task, Task]:
        """Replace a task with what `change` makes of it; return it before and after."""

        async def work(transaction: Transaction) -> tuple[Task, Task]:
            await requests.lock(transaction, request)
            row = await tables.row_for_update(transaction, task_id)
            leases.check_fence(row, lease)
            before = task_from_row(row)
            now = self._clock()
            if await requests.answered(transaction, request, now=now) is not None:
                return before, before
            after = change(before)
            await requests.note(transaction, request, task_id, now=now)
            if after != before:
                await tables.update(transaction, after)
            if after.state != before.state:
                await self._note_state(transaction, after)
                if deed is not None:
                    await audit.note(transaction, deed)
            if before.state is TaskState.CREATING and after.state is TaskState.FAILED:
                await requests.forget(transaction, task_id)
            return before, after

        return await self._database.transact(work)

    async def get(self, task_id: str) -> Task:
        """Return a task."""
        return await self._database.read(partial(tables.get, task_id=task_id))

    async def get_with_facts(self, task_id: str) -> tuple[Task, bytes]:
        """Return a task and what is known of its call."""

        async def work(transaction: Transaction) -> tuple[Task, bytes]:
            task = await tables.get(transaction, task_id)
            return task, await facts.get(transaction, task_id)

        return await self._database.read(work)

    async def change_facts(self, task_id: str, change: Callable[[bytes], bytes]) -> Task:
        """Replace what is known of a call with what `change` makes of it; return the task."""
        done = deed(Action.TASK_UPDATED, task_id)

        async def work(transaction: Transaction) -> Task:
            task = task_from_row(await tables.row_for_update(transaction, task_id))
            if task.state.is_final:
                raise ServiceError(
                    Reason.TASK_ENDED, "task_id: the task has ended", task_id=task_id
                )
            known = await facts.get(transaction, task_id)
            await facts.put(transaction, task_id, change(known))
            await audit.note(transaction, done)
            return task

        return await self._database.transact(work)

    async def of_avatar(self, avatar_id: str) -> Task | None:
        """Return the newest task with an avatar."""
        found = await self._tasks(
            "SELECT * FROM tasks WHERE avatar_id = $1 AND avatar_id <> ''"
            " ORDER BY task_id DESC LIMIT 1",
            avatar_id,
        )
        return next(iter(found), None)

    async def live(self) -> Sequence[Task]:
        """Return all tasks that are not in a final state."""
        # Sorted here: the index of the live tasks is small, that of the ids has all tasks.
        tasks = await self._tasks(f"SELECT * FROM tasks WHERE {tables.IS_LIVE}")
        return sorted(tasks, key=lambda task: task.task_id)

    async def of_stream(self, room_id: str, stream_id: str, *, since: datetime) -> Sequence[Task]:
        """Return the tasks for a room and stream that were created after a moment."""
        return await self._tasks(
            "SELECT * FROM tasks WHERE stream_id = $1 AND create_time > $2 AND room_id = $3",
            stream_id,
            to_micros(since),
            room_id,
        )

    async def is_repeatable(self, task_id: str) -> bool:
        """Return whether a request id leads to the task."""
        return await self._database.read(partial(requests.is_known, task_id=task_id))

    async def page(self, wanted: TaskFilter, *, before: str, size: int) -> Sequence[Task]:
        """Return up to `size` tasks with ids below `before` (empty: the newest), newest first."""
        return await self._database.read(
            partial(tables.page, wanted=wanted, before=before, size=size)
        )

    async def snapshot(self, task_id: str) -> Snapshot:
        """Return a task and its last sequence, read together."""

        async def work(transaction: Transaction) -> Snapshot:
            task = await tables.get(transaction, task_id)
            last_sequence = await record.last_sequence(transaction, task_id)
            return Snapshot(task=task, last_sequence=last_sequence)

        return await self._database.read(work)

    async def events_after(
        self, task_id: str, sequence: int, *, limit: int
    ) -> tuple[Sequence[TaskEvent], bool]:
        """Return the next events, and whether nothing can follow them."""

        async def work(transaction: Transaction) -> tuple[Sequence[TaskEvent], bool]:
            task = await tables.get(transaction, task_id)
            events = await record.events_after(transaction, task_id, sequence, limit=limit)
            return events, len(events) < limit and task.state.is_final

        return await self._database.read(work)

    async def append(
        self,
        task_id: str,
        events: Sequence[ConversationEvent],
        *,
        closing_grace: timedelta,
        epoch: int | None = None,
    ) -> int:
        """Append events to a conversation, skipping those it has; return its last sequence."""
        return await self._appends.append(
            Append(
                task_id=task_id,
                caller=current_caller(),
                events=events,
                closing_grace=closing_grace,
                epoch=epoch,
            )
        )

    async def conversation(
        self, task_id: str, *, after_turn_id: int, after_sequence: int | None
    ) -> Conversation:
        """Return a page of what was said in a task."""

        async def work(transaction: Transaction) -> Conversation:
            await tables.get(transaction, task_id)
            return await record.conversation(
                transaction, task_id, after_turn_id=after_turn_id, after_sequence=after_sequence
            )

        return await self._database.read(work)

    async def turn(self, task_id: str, turn_id: int) -> RecordedTurn:
        """Return a turn of a task."""

        async def work(transaction: Transaction) -> RecordedTurn:
            await tables.get(transaction, task_id)
            return await record.turn(transaction, task_id, turn_id)

        return await self._database.read(work)

    async def abandoned_turns(self, *, ended_before: datetime, limit: int) -> Sequence[OpenTurn]:
        """Return turns that nobody will close: their tasks have ended."""
        return await self._database.read(
            partial(leases.abandoned_turns, ended_before=ended_before, limit=limit)
        )

    async def last_turn_time(self, task_id: str) -> datetime | None:
        """Return when the last turn of a task's conversation ended, or began if it still runs."""
        return await self._database.read(partial(record.last_turn_time, task_id=task_id))

    async def keep_replica(self, replica: Replica) -> None:
        """Keep a replica alive for LEASE_S; it takes the place of an older one at its address."""
        await self._database.transact(partial(leases.keep_replica, replica=replica))

    async def forget_replica(self, replica_id: str) -> None:
        """Free what a replica holds, as it is about to end."""
        await self._database.transact(partial(leases.forget_replica, replica_id=replica_id))

    async def take(self, task_id: str, replica_id: str) -> Lease | None:
        """Take a task's lease for a replica; None while another one that is alive has it."""
        return await self._database.transact(
            partial(leases.take, task_id=task_id, replica_id=replica_id)
        )

    async def release(self, lease: Lease) -> None:
        """Give a lease back, unless it was taken over."""
        await self._database.transact(partial(leases.release, lease=lease))

    async def lead(self, duty: str, replica_id: str) -> bool:
        """Return whether a replica is the one that has a duty, which it keeps while it is alive."""
        return await self._database.transact(partial(leases.lead, duty=duty, replica_id=replica_id))

    async def mark_due(self, task_ids: Sequence[str]) -> None:
        """Have some replica look at tasks."""
        if task_ids:
            await self._database.transact(partial(leases.mark_due, task_ids=task_ids))

    async def take_due(
        self, replica_id: str, *, limit: int, busy: Collection[str]
    ) -> Sequence[Lease]:
        """Take the leases of tasks to look at, but none that another replica holds, or `busy`."""
        return await self._database.transact(
            partial(leases.take_due, replica_id=replica_id, limit=limit, busy=busy)
        )

    async def wake(self, task_id: str) -> None:
        """Wake everyone who watches a task, on every replica."""

        async def work(transaction: Transaction) -> None:
            transaction.announce(task_id)

        await self._database.transact(work)

    async def claim_conversation(self, task_id: str, replica_id: str) -> int:
        """Make a replica the owner of a task's conversation; return the epoch."""
        return await self._database.transact(
            partial(leases.claim_conversation, task_id=task_id, replica_id=replica_id)
        )

    async def release_conversation(self, task_id: str, epoch: int) -> None:
        """Give a conversation back, unless it has moved."""
        await self._database.transact(
            partial(leases.release_conversation, task_id=task_id, epoch=epoch)
        )

    async def note_seen(self, seen: Mapping[Client, datetime]) -> None:
        """Record when the clients of tasks were there."""
        await self._database.transact(partial(presence.note, seen=seen))

    async def absent(self, *, noted_since: datetime) -> Sequence[Task]:
        """Return the tasks whose clients are gone for too long."""
        return await self._database.read(
            partial(presence.absent, now=self._clock(), noted_since=noted_since)
        )

    async def erase(self, task_id: str) -> bool:
        """Remove a part of what was said in a task that has ended; return whether more is left."""
        done = deed(Action.CONVERSATION_ERASED, task_id)
        has_more = await self._database.transact(partial(erasure.erase, task_id=task_id, deed=done))
        if not has_more:
            await self._database.purge()
        return has_more

    async def erase_ended(self, *, before: datetime) -> bool:
        """Erase a part of the tasks that ended before a time; return whether more may be left."""
        return await self._database.transact(partial(erasure.erase_ended, before=before))

    async def remove_ended(self, *, before: datetime) -> bool:
        """Remove some erased tasks that ended before a time; return whether more may be left."""
        return await self._database.transact(partial(erasure.remove_ended, before=before))

    async def forget_user(self, user_id: str) -> Removal:
        """Remove a part of all that is kept of a user."""
        # Who it was is forgotten here as well.
        done = deed(Action.USER_ERASED, "")

        async def work(transaction: Transaction) -> Removal:
            removal = await people.forget(transaction, user_id=user_id)
            if not removal.has_more:
                await audit.note(transaction, done)
            return removal

        removal = await self._database.transact(work)
        if not removal.has_more:
            await self._database.purge()
        return removal

    async def usage(
        self, wanted: UsageFilter, *, after: Position | None, size: int
    ) -> Sequence[UsageRow]:
        """Return up to `size` rows of a report after a position, in order."""
        if wanted.grouping is Grouping.TASK:
            return await self._database.read(
                partial(usage.by_task, wanted=wanted, after=after, size=size, now=self._clock())
            )
        return await usage.by_day(self._database, wanted, after=after, size=size, clock=self._clock)

    async def overspent(self, budget: Budget, window: Window) -> Sequence[Overspent]:
        """Return the live tasks of a period whose users have used up their budgets."""
        return await self._database.read(
            partial(usage.overspent, budget=budget, window=window, now=self._clock())
        )

    async def spending(self, tenant_ids: Collection[str], day: Window) -> Mapping[str, Spending]:
        """Return what each of some tenants has used of a day."""
        return await self._database.read(
            partial(spending.of_tenants, tenant_ids=tenant_ids, day=day, now=self._clock())
        )

    async def forget_requests(self) -> None:
        """Delete the requests that are too old to be repeated."""
        await self._database.transact(partial(requests.forget_old, now=self._clock()))

    async def _tasks(self, sql: str, *parameters: SqlValue) -> Sequence[Task]:
        async def work(transaction: Transaction) -> Sequence[Task]:
            return [task_from_row(row) for row in await transaction.fetch(sql, *parameters)]

        return await self._database.read(work)

    async def _note_state(self, transaction: Transaction, task: Task) -> None:
        now = self._clock()
        sequence = await record.note(transaction, task.task_id, task_to_content(task), now=now)
        await outbox.enqueue(transaction, outbox.of_state(task, sequence), now=now)
