"""Tasks and the requests that were answered: each call is one transaction."""

from collections.abc import Callable
from functools import partial

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.audit import Action, Deed, deed
from services.task.domain.tasks import Clock, Task, TaskState
from services.task.journal import (
    audit,
    facts,
    leases,
    outbox,
    record,
    requests,
    spending,
    tables,
    usage,
)
from services.task.journal.database import Database, Transaction
from services.task.journal.rows import task_from_row, task_to_content
from services.task.ports.leases import Lease
from services.task.ports.tasks import Quota, Request


class SqlTasks:
    """Keeps tasks in the journal's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

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

    async def is_repeatable(self, task_id: str) -> bool:
        """Return whether a request id leads to the task."""
        return await self._database.read(partial(requests.is_known, task_id=task_id))

    async def forget_requests(self) -> None:
        """Delete the requests that are too old to be repeated."""
        await self._database.transact(partial(requests.forget_old, now=self._clock()))

    async def _note_state(self, transaction: Transaction, task: Task) -> None:
        now = self._clock()
        sequence = await record.note(transaction, task.task_id, task_to_content(task), now=now)
        await outbox.enqueue(transaction, outbox.of_state(task, sequence), now=now)
