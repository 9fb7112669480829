"""The table of tasks, within one transaction."""

from services.runtime.callers.caller import current_caller
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import LIVE_STATES, Task
from services.task.journal.database import Transaction
from services.task.journal.rows import (
    TASK_COLUMNS,
    Row,
    SqlValue,
    places,
    task_from_row,
    task_to_row,
)
from services.task.ports.tasks import LONGEST_WAIT_S, SHORTEST_WAIT_S, Quota

IS_LIVE = f"state IN ({', '.join(repr(state.value) for state in sorted(LIVE_STATES))})"
"""As in the schemas' partial indexes, word for word: SQLite uses one for nothing else."""
_IS_LIVE_OF_TENANT = f"tenant_id = $1 AND {IS_LIVE}"
_IS_LIVE_OF_USER = f"tenant_id = $1 AND user_id = $2 AND {IS_LIVE}"
_SELECT = "SELECT * FROM tasks WHERE task_id = $1"
_INSERT = f"INSERT INTO tasks ({', '.join(TASK_COLUMNS)}) VALUES ({places(TASK_COLUMNS)})"
_CHANGES = ", ".join(
    f"{column} = ${number}" for number, column in enumerate(TASK_COLUMNS[1:], start=2)
)
_UPDATE = f"UPDATE tasks SET {_CHANGES} WHERE task_id = $1"


def not_found(task_id: str) -> ServiceError:
    """Return the error for a task that does not exist."""
    return ServiceError(Reason.TASK_NOT_FOUND, "task_id: there is no such task", task_id=task_id)


async def find(transaction: Transaction, task_id: str) -> Task | None:
    """Return a task that the caller sees, if there is one."""
    row = await transaction.fetch_one(_SELECT, task_id)
    return task_from_row(row) if row is not None and _is_seen(row) else None


async def get(transaction: Transaction, task_id: str) -> Task:
    """Return a task that the caller sees. Raises ServiceError with TASK_NOT_FOUND."""
    task = await find(transaction, task_id)
    if task is None:
        raise not_found(task_id)
    return task


async def row_for_update(transaction: Transaction, task_id: str) -> Row:
    """Return the row of a task that the caller sees, which nobody else changes meanwhile.

    Raises ServiceError with TASK_NOT_FOUND.
    """
    rows = await transaction.fetch_for_update(_SELECT, task_id)
    if not rows or not _is_seen(rows[0]):
        raise not_found(task_id)
    return rows[0]


def _is_seen(row: Row) -> bool:
    return current_caller().sees(tenant_id=row["tenant_id"], user_id=row["user_id"])


def seen(parameters: list[SqlValue], *, user_id: str = "") -> str:
    """Return the condition of what the caller sees, and of a user if one is wanted.

    The values that it compares with are added to the parameters.
    """
    caller = current_caller()
    parameters.append(caller.tenant_id)
    condition = f"tenant_id = ${len(parameters)}"
    for each in sorted({caller.user_id, user_id} - {""}):
        parameters.append(each)
        condition += f" AND user_id = ${len(parameters)}"
    return condition


async def insert(transaction: Transaction, task: Task) -> None:
    """Add a task."""
    await transaction.execute(_INSERT, *task_to_row(task).values())


async def update(transaction: Transaction, task: Task) -> None:
    """Write a task anew."""
    await transaction.execute(_UPDATE, *task_to_row(task).values())


async def check_stream(transaction: Transaction, task: Task) -> None:
    """Raise ServiceError with STREAM_IN_USE if a live task has the task's stream."""
    row = await transaction.fetch_one(
        f"SELECT 1 FROM tasks WHERE stream_id = $1 AND {IS_LIVE}", task.stream_id
    )
    if row is not None:
        raise ServiceError(
            Reason.STREAM_IN_USE,
            "stream_id: a running task has this stream",
            stream_id=task.stream_id,
        )


async def check_quota(transaction: Transaction, task: Task, quota: Quota) -> None:
    """Raise ServiceError if no more tasks may run: QUOTA_EXCEEDED, or CAPACITY_EXCEEDED in all.

    A tenant or user with too many tasks learns when the first of them ends at the latest.
    """
    of_tenant = quota.tenants.quota_of(task.tenant_id).live_tasks
    if of_tenant is not None:
        await _check_own(
            transaction, task, of_tenant, "This tenant", _IS_LIVE_OF_TENANT, task.tenant_id
        )
    if task.user_id:
        await _check_own(
            *(transaction, task, quota.running_per_user, "user_id: this user"),
            *(_IS_LIVE_OF_USER, task.tenant_id, task.user_id),
        )
    running = await _count(transaction, IS_LIVE)
    if running >= quota.running:
        raise ServiceError(
            Reason.CAPACITY_EXCEEDED, f"{running} tasks are running, no more are allowed"
        )


async def _check_own(
    transaction: Transaction, task: Task, most: int, who: str, condition: str, *parameters: str
) -> None:
    own = await _count(transaction, condition, *parameters)
    if own < most:
        return
    rows = await transaction.fetch(f"SELECT * FROM tasks WHERE {condition}", *parameters)
    ends = [task_from_row(row).expire_time for row in rows]
    left_s = (min(ends, default=task.expire_time) - task.create_time).total_seconds()
    raise ServiceError(
        Reason.QUOTA_EXCEEDED,
        f"{who} has {own} tasks running, no more are allowed",
        retry_after_s=min(max(left_s, SHORTEST_WAIT_S), LONGEST_WAIT_S),
    )


async def _count(transaction: Transaction, condition: str, *parameters: str) -> int:
    row = await transaction.fetch_one(
        f"SELECT count(*) AS number FROM tasks WHERE {condition}", *parameters
    )
    number: int = row["number"] if row else 0
    return number
