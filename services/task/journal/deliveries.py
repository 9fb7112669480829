"""Deliveries to webhooks, within one transaction: which replica takes each, and what became of it.

A delivery belongs to the replica that has taken it while that is alive, as a lease does. Of a lane,
which is a task, only the first is taken, so that they arrive in order.
"""

from collections.abc import Collection, Sequence

from services.task.domain.tasks import Task
from services.task.journal import provider_usage
from services.task.journal.database import Transaction
from services.task.journal.outbox import quota_from_content
from services.task.journal.replicas import is_alive
from services.task.journal.rows import (
    MICROSECOND,
    Row,
    event_from_row,
    from_micros,
    places,
    turn_from_row,
)
from services.task.webhooks.webhook import Delivery, EndedTask, EventType, Failed, Subject

# $1 is the replica, $2 the present.
_MAY_TAKE = (
    "is_dead = 0 AND next_time <= $2"
    f" AND (owner = $1 OR NOT {is_alive('webhook_deliveries.owner')})"
)


_IS_FIRST = (
    "NOT EXISTS (SELECT 1 FROM webhook_deliveries AS earlier"
    " WHERE earlier.webhook_id = webhook_deliveries.webhook_id"
    " AND earlier.lane = webhook_deliveries.lane"
    " AND earlier.is_dead = 0 AND (earlier.sequence, earlier.event_id)"
    "  < (webhook_deliveries.sequence, webhook_deliveries.event_id))"
)
_TAKEN = "webhook_id = $1 AND event_id = $2 AND owner = $3 AND is_dead = 0"


async def due(transaction: Transaction, replica_id: str) -> Sequence[str]:
    """Return the webhooks with a delivery that a replica may take."""
    rows = await transaction.fetch(
        "SELECT webhook_id FROM webhooks WHERE EXISTS (SELECT 1 FROM webhook_deliveries"
        f" WHERE webhook_deliveries.webhook_id = webhooks.webhook_id AND {_MAY_TAKE})",
        replica_id,
        await now_micros(transaction),
    )
    return [row["webhook_id"] for row in rows]


async def take(
    transaction: Transaction, webhook_id: str, replica_id: str, *, limit: int, busy: Collection[str]
) -> Sequence[Delivery]:
    """Take some of a webhook's deliveries that are due, and drop those whose event is erased."""
    others = f" AND event_id NOT IN ({places(busy, first=5)})" if busy else ""
    found = await transaction.fetch_unlocked(
        f"SELECT * FROM webhook_deliveries WHERE webhook_id = $3 AND {_MAY_TAKE}"
        f" AND {_IS_FIRST}{others} ORDER BY next_time, event_id LIMIT $4",
        replica_id,
        await now_micros(transaction),
        webhook_id,
        limit,
        *busy,
    )
    taken = [await _take(transaction, each, replica_id) for each in found]
    return [each for each in taken if each is not None]


async def now_micros(transaction: Transaction) -> int:
    """Return the database's time: as a parameter it finds its way into an index."""
    [row] = await transaction.fetch("SELECT now_micros() AS now")
    return int(row["now"])


async def settle(
    transaction: Transaction,
    replica_id: str,
    *,
    delivered: Sequence[Delivery],
    failed: Sequence[Failed],
) -> Sequence[Failed]:
    """Record what became of deliveries, and return those that will not be tried again."""
    await transaction.execute_many(
        f"DELETE FROM webhook_deliveries WHERE {_TAKEN}",
        [(each.webhook_id, each.event_id, replica_id) for each in delivered],
    )
    return [each for each in failed if await _is_given_up(transaction, each, replica_id)]


async def _take(transaction: Transaction, row: Row, replica_id: str) -> Delivery | None:
    """Take a delivery for a replica; None if what it is about has been erased."""
    place = (row["webhook_id"], row["event_id"])
    subject = await _subject(transaction, row)
    if subject is None:
        await transaction.execute(
            "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND event_id = $2", *place
        )
        return None
    await transaction.execute(
        "UPDATE webhook_deliveries SET owner = $3 WHERE webhook_id = $1 AND event_id = $2",
        *place,
        replica_id,
    )
    return Delivery(
        webhook_id=row["webhook_id"],
        event_id=row["event_id"],
        event_type=EventType(row["event_type"]),
        task_id=row["task_id"],
        sequence=row["sequence"],
        time=from_micros(row["time"]),
        attempts=row["attempts"],
        subject=subject,
    )


async def _subject(transaction: Transaction, row: Row) -> Subject | None:
    if row["content"]:
        return quota_from_content(row["content"])
    task_id, sequence = row["task_id"], row["sequence"]
    logged = await transaction.fetch_one(
        "SELECT * FROM events WHERE task_id = $1 AND sequence = $2", task_id, sequence
    )
    if logged is None:
        return None
    content = event_from_row(logged).content
    if isinstance(content, Task):
        return await _ended(transaction, content) if content.state.is_final else content
    turn = await transaction.fetch_one(
        "SELECT * FROM turns WHERE task_id = $1 AND closed_by = $2",
        task_id,
        logged["conversation_sequence"],
    )
    return None if turn is None else turn_from_row(turn)


async def _ended(transaction: Transaction, task: Task) -> EndedTask:
    counted = await transaction.fetch_one(
        "SELECT erased_turns + (SELECT count(*) FROM turns WHERE turns.task_id = tasks.task_id)"
        " AS turns FROM tasks WHERE task_id = $1",
        task.task_id,
    )
    used = await provider_usage.of_tasks(transaction, [task.task_id])
    return EndedTask(
        task=task,
        turns=counted["turns"] if counted else 0,
        providers=used.get(task.task_id, ()),
    )


async def _is_given_up(transaction: Transaction, failed: Failed, replica_id: str) -> bool:
    """Note an attempt that failed; return whether it was the last."""
    pause = failed.pause // MICROSECOND
    noted = await transaction.fetch(
        "UPDATE webhook_deliveries SET owner = '', attempts = attempts + 1, failure = $4,"
        " is_dead = CASE WHEN now_micros() + $5 > give_up_time THEN 1 ELSE 0 END"
        f" WHERE {_TAKEN} RETURNING lane, is_dead",
        failed.delivery.webhook_id,
        failed.delivery.event_id,
        replica_id,
        failed.failure,
        pause,
    )
    if not noted:
        return False
    [row] = noted
    if row["is_dead"]:
        return True
    await transaction.execute(
        "UPDATE webhook_deliveries SET next_time = now_micros() + $3"
        " WHERE webhook_id = $1 AND lane = $2 AND is_dead = 0",
        failed.delivery.webhook_id,
        row["lane"],
        pause,
    )
    return False
