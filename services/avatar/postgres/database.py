"""The database that the replicas share: single statements, none of which anything must wait for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
import structlog

from services.avatar.postgres.schema import MIGRATIONS
from services.runtime.operator_error import OperatorError

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    OwnConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    PooledConnection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Connection: TypeAlias = OwnConnection | PooledConnection

log = structlog.get_logger(__name__)

_ANSWER_S = 1.0
_MIGRATE_S = 30.0
_MIGRATING = 0x617661746172
"""The advisory lock of whoever migrates."""
_NO_ANSWER = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    # What the driver raises for a URL that it cannot read.
    ValueError,
)
_REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    ValueError,
)
"""What only an operator can end."""

Row: TypeAlias = asyncpg.Record


class DatabaseError(OperatorError):
    """The database refuses us; the message says why, without secrets."""


class DatabaseAwayError(Exception):
    """The database does not answer."""


class Database:
    """Runs statements one by one; after a failure none, until `insist` finds that it is back.

    So an outage delays one call, and not every one.
    """

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._is_migrated = False
        self._is_away = False

    async def ask(self, sql: str, *parameters: object) -> Row | None:
        """Return the first row of a statement's result, if any; raises DatabaseAwayError."""
        if self._is_away:
            raise DatabaseAwayError
        return await self.insist(sql, *parameters)

    async def insist(self, sql: str, *parameters: object) -> Row | None:
        """Do the same although the database may be away, and learn whether it is."""
        try:
            async with self._pool.acquire(timeout=_ANSWER_S) as connection:
                if not self._is_migrated:
                    await migrate(connection)
                    self._is_migrated = True
                row = await connection.fetchrow(sql, *parameters)
        except _NO_ANSWER as error:
            # It may come back as another server, with the schema of a backup.
            self._is_migrated = False
            await self._pool.expire_connections()
            if not self._is_away:
                log.warning("shared database away", failure=type(error).__name__)
            self._is_away = True
            raise DatabaseAwayError from error
        if self._is_away:
            log.warning("shared database back")
        self._is_away = False
        return row


@asynccontextmanager
async def opened(url: str, *, connections: int) -> AsyncIterator[Database]:
    """Open the database; that it is away is no error. Raises DatabaseError if it refuses us."""
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=connections,
        timeout=_ANSWER_S,
        command_timeout=_ANSWER_S,
        # PgBouncer, in transaction mode, gives every statement another connection.
        statement_cache_size=0,
        # No statement leaves anything behind in its connection.
        reset=_leave,
    )
    try:
        database = Database(pool)
        try:
            await database.insist("SELECT")
        except DatabaseAwayError as error:
            if isinstance(error.__cause__, _REFUSALS):
                raise _refused(error.__cause__) from None
        yield database
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                await pool.close()


async def migrate(connection: "Connection") -> int:
    """Bring the schema up to date, one process at a time; return the number of steps taken."""
    # A role that may not create anything can still use a schema that is up to date.
    if await _version(connection) >= len(MIGRATIONS):
        return 0
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATING, timeout=_MIGRATE_S)
        await connection.execute("CREATE SCHEMA IF NOT EXISTS avatar")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS avatar.migrations"
            " (version integer PRIMARY KEY, time timestamptz NOT NULL DEFAULT now())"
        )
        pending = MIGRATIONS[await _version(connection) :]
        first = len(MIGRATIONS) - len(pending) + 1
        for number, script in enumerate(pending, start=first):
            await connection.execute(script, timeout=_MIGRATE_S)
            await connection.execute("INSERT INTO avatar.migrations VALUES ($1)", number)
    return len(pending)


async def migrated(url: str) -> int:
    """Bring the schema of a database up to date; raises DatabaseError."""
    try:
        connection = await asyncpg.connect(url, timeout=_MIGRATE_S, statement_cache_size=0)
    except _NO_ANSWER as error:
        raise _refused(error) from None
    try:
        return await migrate(connection)
    except _NO_ANSWER as error:
        raise _refused(error) from None
    finally:
        await connection.close(timeout=_ANSWER_S)


async def _version(connection: "Connection") -> int:
    if await connection.fetchval("SELECT to_regclass('avatar.migrations')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(version), 0) FROM avatar.migrations"))


def _refused(error: BaseException) -> DatabaseError:
    # What the driver says about a URL may repeat it.
    is_about_url = isinstance(error, (ValueError, asyncpg.InterfaceError))
    why = "not the URL of a database" if is_about_url else str(error) or type(error).__name__
    return DatabaseError(f"AVATAR_DATABASE: {why}")


async def _leave(connection: "OwnConnection") -> None:
    """Spare the round trip of a reset."""
