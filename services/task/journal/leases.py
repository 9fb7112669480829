"""Leases: which replica may take the steps of a task."""

from collections.abc import Collection, Sequence
from functools import partial

from services.task.domain.tasks import Task
from services.task.journal.database import Database, Transaction
from services.task.journal.replicas import is_alive, is_kept
from services.task.journal.rows import Row
from services.task.journal.tables import row_for_update
from services.task.ports.leases import Lease, StaleLeaseError, first_lease
from services.task.telemetry import LEASE_MOVES


async def record_first(transaction: Transaction, task: Task, replica_id: str) -> None:
    """Give a new task to the replica that records it."""
    await transaction.execute(
        "UPDATE tasks SET lease_owner = $2, fence = $3 WHERE task_id = $1",
        task.task_id,
        replica_id,
        first_lease(task).fence,
    )


def check_fence(row: Row, lease: Lease | None) -> None:
    """Raise StaleLeaseError when the lease of a task's locked row has been taken over."""
    if lease is not None and row["fence"] != lease.fence:
        raise StaleLeaseError(f"the lease of {lease.task_id} has been taken over")


class SqlLeases:
    """Keeps the leases of tasks in the journal's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, task_id: str, replica_id: str) -> Lease | None:
        """Take a task's lease for a replica; None while another one that is alive has it."""
        return await self._database.transact(
            partial(_take_free, task_id=task_id, replica_id=replica_id)
        )

    async def release(self, lease: Lease) -> None:
        """Give a lease back, unless it was taken over."""
        await self._database.transact(partial(_release, lease=lease))

    async def mark_due(self, task_ids: Sequence[str]) -> None:
        """Have some replica look at tasks."""
        if task_ids:
            await self._database.transact(partial(_mark_due, task_ids=task_ids))

    async def take_due(
        self, replica_id: str, *, limit: int, busy: Collection[str]
    ) -> Sequence[Lease]:
        """Take the leases of tasks to look at, but none that another replica holds, or `busy`."""
        return await self._database.transact(
            partial(_take_due, replica_id=replica_id, limit=limit, busy=busy)
        )


async def _take_free(transaction: Transaction, task_id: str, replica_id: str) -> Lease | None:
    row = await row_for_update(transaction, task_id)
    if row["lease_owner"] != replica_id and await is_kept(transaction, row["lease_owner"]):
        return None
    return await _take(transaction, row, replica_id)


async def _take_due(
    transaction: Transaction, replica_id: str, *, limit: int, busy: Collection[str]
) -> Sequence[Lease]:
    rows = await transaction.fetch_unlocked(
        "SELECT task_id, tenant_id, lease_owner, fence FROM tasks"
        f" WHERE is_due = 1 AND (lease_owner = $1 OR NOT {is_alive('lease_owner')})"
        " ORDER BY task_id LIMIT $2",
        replica_id,
        limit + len(busy),
    )
    due = [row for row in rows if row["task_id"] not in busy]
    return [await _take(transaction, row, replica_id) for row in due[:limit]]


async def _mark_due(transaction: Transaction, task_ids: Sequence[str]) -> None:
    await transaction.execute_many(
        "UPDATE tasks SET is_due = 1 WHERE task_id = $1",
        [(task_id,) for task_id in sorted(task_ids)],
    )


async def _release(transaction: Transaction, lease: Lease) -> None:
    await transaction.execute(
        "UPDATE tasks SET lease_owner = '' WHERE task_id = $1 AND fence = $2",
        lease.task_id,
        lease.fence,
    )


async def _take(transaction: Transaction, row: Row, replica_id: str) -> Lease:
    if row["lease_owner"] not in ("", replica_id):
        LEASE_MOVES.labels(kind="task").inc()
    lease = Lease(task_id=row["task_id"], tenant_id=row["tenant_id"], fence=row["fence"] + 1)
    await transaction.execute(
        "UPDATE tasks SET lease_owner = $2, fence = $3, is_due = 0 WHERE task_id = $1",
        lease.task_id,
        replica_id,
        lease.fence,
    )
    return lease
