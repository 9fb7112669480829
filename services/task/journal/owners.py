"""Who may add to a conversation, within one transaction."""

from collections.abc import Sequence
from datetime import datetime

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import OpenTurn
from services.task.journal.database import Transaction
from services.task.journal.replicas import is_alive
from services.task.journal.rows import from_micros, to_micros
from services.task.journal.tables import row_for_update
from services.task.telemetry import LEASE_MOVES


async def claim(transaction: Transaction, task_id: str, replica_id: str) -> int:
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


async def release(transaction: Transaction, task_id: str, epoch: int) -> None:
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
