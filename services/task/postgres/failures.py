"""What PostgreSQL's failures mean."""

import asyncpg

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

RETRY_AFTER_S = 1.0

_OUTAGES = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # A server that is not, or no longer, the primary.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # The server has said goodbye on a connection whose end has not arrived yet.
    asyncpg.InternalClientError,
)
_CONFLICTS = (
    asyncpg.TransactionRollbackError,
    # Another replica was faster; the next attempt sees what it wrote.
    asyncpg.UniqueViolationError,
)


def is_outage(error: Exception) -> bool:
    """Whether the server is away or cannot work, which passes."""
    # The driver raises it for a connection that is closed, and as ValueError for wrong arguments.
    is_closed = isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    return is_closed or isinstance(error, _OUTAGES)


def is_conflict(error: Exception) -> bool:
    """Whether a transaction was rolled back because of another one."""
    return isinstance(error, _CONFLICTS)


def name_of(error: Exception) -> str:
    """Return what a log may say of a failure; its text may hold names and values."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__


def unavailable() -> ServiceError:
    """Return the error for callers."""
    return ServiceError(
        Reason.DEPENDENCY_UNAVAILABLE,
        "The database does not answer.",
        retry_after_s=RETRY_AFTER_S,
    )
