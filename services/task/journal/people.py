"""Removes all that is kept of a user, in small steps. What was used stays, as nobody's.

A step is one transaction, short enough that nobody notices.
"""

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.journal import erasure, usage
from services.task.journal.database import Transaction
from services.task.journal.rows import SqlValue
from services.task.journal.tables import IS_LIVE, seen
from services.task.ports.erasure import Removal

_OF_USERS = ("tickets", "api_keys", "quota_warnings")
"""Rows that are a user's name them; others have an empty user_id."""


async def forget(transaction: Transaction, user_id: str) -> Removal:
    """Remove a part of what is kept of a user; raises ServiceError with TASK_NOT_ENDED."""
    if not user_id:
        raise ValueError("nobody is no user: that would be all of the tenant")
    await _check_ended(transaction, user_id)
    parameters: list[SqlValue] = []
    mine = seen(parameters, user_id=user_id)
    rows = await transaction.fetch_for_update(
        f"SELECT * FROM tasks WHERE {mine} ORDER BY task_id LIMIT {erasure.TASKS}", *parameters
    )
    if await erasure.erase_rows(transaction, rows):
        return Removal(tasks=0, has_more=True)
    if rows:
        await erasure.remove_tasks(transaction, [row["task_id"] for row in rows])
        return Removal(tasks=len(rows), has_more=True)
    for table in _OF_USERS:
        parameters = []
        await transaction.execute(
            f"DELETE FROM {table} WHERE {seen(parameters, user_id=user_id)}", *parameters
        )
    # Last, as what a task cost is the user's until it is removed.
    await usage.forget_user(transaction, user_id)
    return Removal(tasks=0, has_more=False)


async def _check_ended(transaction: Transaction, user_id: str) -> None:
    parameters: list[SqlValue] = []
    mine = seen(parameters, user_id=user_id)
    live = await transaction.fetch_one(
        f"SELECT task_id FROM tasks WHERE {mine} AND {IS_LIVE} LIMIT 1", *parameters
    )
    if live is not None:
        raise ServiceError(
            Reason.TASK_NOT_ENDED,
            "user_id: a task of this user has not ended yet",
            task_id=live["task_id"],
        )
