"""Leases, within one transaction: which replicas are alive, and what each of them holds.

A replica that shows no sign of life for LEASE_S holds nothing any more. The database's clock
counts, so the replicas' clocks need not agree.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import OpenTurn
from services.task.domain.tasks import Task
from services.task.journal.database import Transaction
from services.task.journal.rows import Row, from_micros, to_micros
from services.task.journal.tables import row_for_update
from services.task.ports.leases import Lease, StaleLeaseError, first_lease
from services.task.ports.replicas import LEASE_S, Replica
from services.task.telemetry import LEASE_MOVES

_LEASE_MICROS = int(LEASE_S * 1_000_000)
# Long enough that whoever asks for the owner of a conversation gets its address.
_FORGOTTEN_MICROS = 3600 * 1_000_000


def is_alive(column: str) -> str:
    """Return the condition that the replica of a column shows signs of life."""
    return (
        f"EXISTS (SELECT 1 FROM replicas WHERE replicas.replica_id = {column}"
        " AND expires_at > now_micros())"
    )


async def succeed(transaction: Transaction) -> None:
    """Free what an earlier process held, which was the only one to use this database.

    The replicas that it kept alive could show it no sign of life meanwhile.
    """
    await transaction.execute("DELETE FROM replicas WHERE address = ''")
    await transaction.execute("UPDATE replicas SET expires_at = now_micros() + $1", _LEASE_MICROS)


async def keep_replica(transaction: Transaction, replica: Replica) -> None:
    """Keep a replica alive; it takes the place of an older one at its address."""
    await transaction.execute(
        "DELETE FROM replicas WHERE expires_at < now_micros() - $3"
        " OR address <> '' AND address = $1 AND replica_id <> $2",
        replica.address,
        replica.replica_id,
        _FORGOTTEN_MICROS,
    )
    await transaction.execute(
        "INSERT INTO replicas (replica_id, address, expires_at)"
        " VALUES ($1, $2, now_micros() + $3)"
        " ON CONFLICT (replica_id) DO UPDATE"
        " SET address = excluded.address, expires_at = excluded.expires_at",
        replica.replica_id,
        replica.address,
        _LEASE_MICROS,
    )


async def forget_replica(transaction: Transaction, replica_id: str) -> None:
    """Free what a replica holds."""
    await transaction.execute("DELETE FROM replicas WHERE replica_id = $1", replica_id)


async def take(transaction: Transaction, task_id: str, replica_id: str) -> Lease | None:
    """Take a task's lease for a replica; None while another one that is alive has it."""
    row = await row_for_update(transaction, task_id)
    if row["lease_owner"] != replica_id and await _is_kept(transaction, row["lease_owner"]):
        return None
    return await _take(transaction, row, replica_id)


async def take_due(
    transaction: Transaction, replica_id: str, *, limit: int, busy: Collection[str]
) -> Sequence[Lease]:
    """Take the leases of tasks to look at, but of none that another replica holds, or `busy`."""
    rows = await transaction.fetch_unlocked(
        "SELECT task_id, tenant_id, lease_owner, fence FROM tasks"
        f" WHERE is_due = 1 AND (lease_owner = $1 OR NOT {is_alive('lease_owner')})"
        " ORDER BY task_id LIMIT $2",
        replica_id,
        limit + len(busy),
    )
    due = [row for row in rows if row["task_id"] not in busy]
    return [await _take(transaction, row, replica_id) for row in due[:limit]]


async def mark_due(transaction: Transaction, task_ids: Sequence[str]) -> None:
    """Have some replica look at tasks."""
    await transaction.execute_many(
        "UPDATE tasks SET is_due = 1 WHERE task_id = $1",
        [(task_id,) for task_id in sorted(task_ids)],
    )


async def release(transaction: Transaction, lease: Lease) -> None:
    """Give a lease back, unless it was taken over."""
    await transaction.execute(
        "UPDATE tasks SET lease_owner = '' WHERE task_id = $1 AND fence = $2",
        lease.task_id,
        lease.fence,
    )


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


async def lead(transaction: Transaction, duty: str, replica_id: str) -> bool:
    """Return whether a replica has a duty; a duty that nobody has is given to the first to ask."""
    await transaction.execute(
        "INSERT INTO duties (duty, owner) VALUES ($1, $2)"
        " ON CONFLICT (duty) DO UPDATE SET owner = excluded.owner"
        f" WHERE duties.owner <> excluded.owner AND NOT {is_alive('duties.owner')}",
        duty,
        replica_id,
    )
    row = await transaction.fetch_one("SELECT owner FROM duties WHERE duty = $1", duty)
    return row is not None and row["owner"] == replica_id


async def claim_conversation(transaction: Transaction, task_id: str, replica_id: str) -> int:
    """Make a replica the owner of a task's conversation; return the epoch."""
    row = await row_for_update(transaction, task_id)
    owner, epoch = row["conversation_owner"], row["conversation_epoch"]
    if owner == replica_id:
        return int(epoch)
    if owner:
        await _require_dead(transaction, task_id, owner)
        LEASE_MOVES.labels(kind="conversation").inc()
    await transaction.execute(
        "UPDATE tasks SET conversation_owner = $2, conversation_epoch = $3 WHERE task_id = $1",
        task_id,
        replica_id,
        epoch + 1,
    )
    return int(epoch) + 1


async def release_conversation(transaction: Transaction, task_id: str, epoch: int) -> None:
    """Give a conversation back, unless it has moved."""
    await row_for_update(transaction, task_id)
    await transaction.execute(
        "UPDATE tasks SET conversation_owner = '' WHERE task_id = $1 AND conversation_epoch = $2",
        task_id,
        epoch,
    )


async def abandoned_turns(
    transaction: Transaction, *, ended_before: datetime, limit: int
) -> Sequence[OpenTurn]:
    """Return the running turns of ended tasks that nobody may or will add to any more."""
    is_held = is_alive("tasks.conversation_owner")
    rows = await transaction.fetch(
        "SELECT turns.task_id, tenant_id, turn_id, reply_text, stop_time,"
        " (SELECT max(conversation_sequence) FROM events WHERE events.task_id = tasks.task_id"
        "  AND conversation_sequence IS NOT NULL) AS last"
        " FROM turns JOIN tasks ON tasks.task_id = turns.task_id"
        " WHERE finish_time IS NULL AND stop_time IS NOT NULL"
        f" AND (stop_time < $1 OR conversation_epoch > 0 AND NOT {is_held})"
        " ORDER BY turns.task_id, turn_id LIMIT $2",
        to_micros(ended_before),
        limit,
    )
    return [
        OpenTurn(
            task_id=row["task_id"],
            tenant_id=row["tenant_id"],
            turn_id=row["turn_id"],
            reply_text=row["reply_text"],
            end_time=from_micros(row["stop_time"]),
            last_sequence=row["last"],
        )
        for row in rows
    ]


async def moved(transaction: Transaction, task_id: str) -> ServiceError:
    """Return the error for a replica that no longer holds a conversation."""
    row = await transaction.fetch_one(
        "SELECT address FROM tasks JOIN replicas ON replica_id = conversation_owner"
        " WHERE task_id = $1",
        task_id,
    )
    return ServiceError(
        Reason.CONVERSATION_MOVED,
        "epoch: another replica continues the conversation",
        task_id=task_id,
        owner_address=row["address"] if row else "",
    )


async def _is_kept(transaction: Transaction, replica_id: str) -> bool:
    sql = "SELECT 1 FROM replicas WHERE replica_id = $1 AND expires_at > now_micros()"
    return bool(replica_id) and await transaction.fetch_one(sql, replica_id) is not None


async def _require_dead(transaction: Transaction, task_id: str, owner: str) -> None:
    row = await transaction.fetch_one(
        "SELECT address, expires_at - now_micros() AS remaining FROM replicas"
        " WHERE replica_id = $1 AND expires_at > now_micros()",
        owner,
    )
    if row is not None:
        raise ServiceError(
            Reason.CONVERSATION_ELSEWHERE,
            "task_id: another replica holds the conversation",
            retry_after_s=row["remaining"] / 1_000_000,
            task_id=task_id,
            owner_address=row["address"],
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
