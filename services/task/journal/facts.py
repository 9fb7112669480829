"""What is known of calls, within one transaction: encoded, one row for each task that has any."""

from services.task.journal.database import Transaction


async def get(transaction: Transaction, task_id: str) -> bytes:
    """Return what is known of a task's call, empty for nothing."""
    row = await transaction.fetch_one("SELECT facts FROM call_facts WHERE task_id = $1", task_id)
    facts: bytes = row["facts"] if row is not None else b""
    return facts


async def put(transaction: Transaction, task_id: str, facts: bytes) -> None:
    """Record what is known of a task's call."""
    if facts:
        await transaction.execute(
            "INSERT INTO call_facts (task_id, facts) VALUES ($1, $2)"
            " ON CONFLICT (task_id) DO UPDATE SET facts = excluded.facts",
            task_id,
            facts,
        )


async def remove(transaction: Transaction, task_id: str) -> None:
    """Forget what is known of a task's call."""
    await transaction.execute("DELETE FROM call_facts WHERE task_id = $1", task_id)
