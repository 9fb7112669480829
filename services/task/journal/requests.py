"""The calls that may be repeated, within one transaction: which task each led to.

An id is kept with its tenant before it, but for the default tenant, as before there were any.
"""

from datetime import datetime

from services.runtime.callers.caller import DEFAULT_TENANT
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.journal.database import Transaction
from services.task.journal.rows import to_micros
from services.task.ports.tasks import REQUEST_LIFE, Request


async def lock(transaction: Transaction, request: Request | None) -> None:
    """Keep other calls with the request id waiting until the transaction ends."""
    if request is not None:
        await transaction.lock(f"request {_key(request)}")


async def answered(
    transaction: Transaction, request: Request | None, *, now: datetime
) -> str | None:
    """Return the task that a request led to before.

    Raises ServiceError with REQUEST_ID_REUSED if its id had another digest.
    """
    if request is None:
        return None
    row = await transaction.fetch_one(
        "SELECT digest, task_id FROM requests WHERE request_id = $1 AND time >= $2",
        _key(request),
        to_micros(now - REQUEST_LIFE),
    )
    if row is None:
        return None
    if row["digest"] != request.digest:
        raise ServiceError(
            Reason.REQUEST_ID_REUSED,
            "request_id: it was used with another request",
            request_id=request.request_id,
        )
    task_id: str = row["task_id"]
    return task_id


async def note(
    transaction: Transaction, request: Request | None, task_id: str, *, now: datetime
) -> None:
    """Record which task a request led to."""
    if request is not None:
        await transaction.execute(
            "INSERT INTO requests (request_id, digest, task_id, time) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (request_id) DO UPDATE SET"
            " digest = excluded.digest, task_id = excluded.task_id, time = excluded.time",
            _key(request),
            request.digest,
            task_id,
            to_micros(now),
        )


async def is_known(transaction: Transaction, task_id: str) -> bool:
    """Return whether a request led to the task."""
    sql = "SELECT 1 FROM requests WHERE task_id = $1"
    return await transaction.fetch_one(sql, task_id) is not None


async def forget(transaction: Transaction, task_id: str) -> None:
    """Free the ids of the requests that led to a task."""
    await transaction.execute("DELETE FROM requests WHERE task_id = $1", task_id)


async def forget_old(transaction: Transaction, *, now: datetime) -> None:
    """Delete the requests that are too old to be repeated."""
    await transaction.execute("DELETE FROM requests WHERE time < $1", to_micros(now - REQUEST_LIFE))


def _key(request: Request) -> str:
    if request.tenant_id == DEFAULT_TENANT:
        return request.request_id
    return f"{request.tenant_id}/{request.request_id}"
