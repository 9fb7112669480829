"""Removes what was said in tasks that have ended, and then the tasks, each in small steps.

What was known of a call goes with the first step.

A step is one transaction, short enough that nobody notices. The states of a task and what it cost
outlive what was said in it, and its cost outlives the task.
"""

from collections.abc import Sequence
from datetime import datetime

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.audit import Deed
from services.task.journal import audit, facts, usage
from services.task.journal.database import Transaction
from services.task.journal.rows import Row, SqlValue, places, task_from_row, to_micros
from services.task.journal.tables import row_for_update

ROWS = 500
"""Removed in one step, of events and of turns each."""
TASKS = 100
"""Looked at in one step."""


async def erase(transaction: Transaction, task_id: str, deed: Deed) -> bool:
    """Remove a part of what was said in a task that has ended; return whether more is left.

    The deed is noted with the first part. Raises ServiceError with TASK_NOT_ENDED.
    """
    row = await row_for_update(transaction, task_id)
    if not task_from_row(row).state.is_final:
        raise ServiceError(
            Reason.TASK_NOT_ENDED, "task_id: the task has not ended yet", task_id=task_id
        )
    if not row["erased_events"]:
        await audit.note(transaction, deed)
    return await _erase(transaction, row) >= ROWS


async def erase_ended(transaction: Transaction, before: datetime) -> bool:
    """Erase a part of the tasks that ended before a time; return whether more may be left."""
    rows = await _ended(transaction, before, is_erased=0)
    return await erase_rows(transaction, rows) or len(rows) == TASKS


async def remove_ended(transaction: Transaction, before: datetime) -> bool:
    """Remove some erased tasks that ended before a time; return whether more may be left."""
    task_ids = [row["task_id"] for row in await _ended(transaction, before, is_erased=1)]
    if not task_ids:
        return False
    await remove_tasks(transaction, task_ids)
    return len(task_ids) == TASKS


async def erase_rows(transaction: Transaction, rows: Sequence[Row]) -> bool:
    """Erase a part of tasks that have ended; return whether more is left."""
    removed = 0
    for row in rows:
        removed += await _erase(transaction, row)
        if removed >= ROWS:
            return True
    return False


async def remove_tasks(transaction: Transaction, task_ids: Sequence[str]) -> None:
    """Remove erased tasks, with all that leads to them; what they cost is kept."""
    await usage.keep(transaction, task_ids)
    for table in ("requests", "events", "turns", "call_facts", "webhook_deliveries", "tasks"):
        await transaction.execute(
            f"DELETE FROM {table} WHERE task_id IN ({places(task_ids)})", *task_ids
        )


async def _ended(transaction: Transaction, before: datetime, *, is_erased: int) -> Sequence[Row]:
    """Return the rows of the tasks that ended first, which nobody else changes meanwhile."""
    found = await transaction.fetch(
        f"SELECT task_id FROM tasks WHERE is_erased = {is_erased} AND stop_time < $1"
        f" ORDER BY stop_time LIMIT {TASKS}",
        to_micros(before),
    )
    task_ids: list[SqlValue] = [row["task_id"] for row in found]
    if not task_ids:
        return ()
    return await transaction.fetch_for_update(
        f"SELECT * FROM tasks WHERE task_id IN ({places(task_ids)}) ORDER BY task_id", *task_ids
    )


async def _erase(transaction: Transaction, row: Row) -> int:
    """Remove up to ROWS of what was said in a task; return how many that were."""
    task_id: str = row["task_id"]
    if not row["erased_events"]:
        await _mark(transaction, task_id)
        await facts.remove(transaction, task_id)
    events = await _remove(transaction, task_id, "events", "conversation_sequence", ROWS)
    turns = await _remove(transaction, task_id, "turns", "turn_id", ROWS - events)
    await transaction.execute(
        "UPDATE tasks SET erased_turns = erased_turns + $2, is_erased = $3 WHERE task_id = $1",
        task_id,
        turns,
        int(events + turns < ROWS),
    )
    return events + turns


async def _mark(transaction: Transaction, task_id: str) -> None:
    """Close the log of a task, and keep how far it came: whoever has read it asks for the rest."""
    await transaction.execute(
        "UPDATE tasks SET erased_events ="
        " (SELECT coalesce(max(sequence), 1) FROM events WHERE events.task_id = tasks.task_id),"
        " erased_conversation_events = (SELECT coalesce(max(conversation_sequence), 0) FROM events"
        "  WHERE events.task_id = tasks.task_id AND conversation_sequence IS NOT NULL)"
        " WHERE task_id = $1",
        task_id,
    )


async def _remove(transaction: Transaction, task_id: str, table: str, key: str, limit: int) -> int:
    """Remove up to a number of a task's rows, the first by their key; return how many they were."""
    first = await transaction.fetch(
        f"SELECT {key} AS key FROM {table} WHERE task_id = $1 AND {key} >= 0"
        f" ORDER BY {key} LIMIT $2",
        task_id,
        limit,
    )
    if first:
        await transaction.execute(
            f"DELETE FROM {table} WHERE task_id = $1 AND {key} >= 0 AND {key} <= $2",
            task_id,
            first[-1]["key"],
        )
    return len(first)
