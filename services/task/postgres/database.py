"""A PostgreSQL database: transactions on a pool of connections.

Nothing outlives a transaction on its connection: no prepared statement, no setting, no lock. So the
pool may go through pgbouncer in transaction mode.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg
import structlog

from services.task.journal.database import DatabaseError, Work
from services.task.journal.rows import SqlValue
from services.task.postgres.failures import is_conflict, is_outage, name_of, unavailable
from services.task.postgres.news import Sender
from services.task.postgres.schema import migrate

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    PooledConnection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

log = structlog.get_logger(__name__)

T = TypeVar("T")

CONNECT_S = 5.0
STATEMENT_S = 5.0
# Shorter than callers wait: a server that restarts costs them time, one that stays away an error.
PATIENCE_S = 3.0
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5


class PostgresTransaction:
    """What a function may do within one transaction."""

    def __init__(self, connection: "PooledConnection") -> None:
        self._connection = connection
        self.announced: set[str] = set()

    async def fetch(self, sql: str, *parameters: SqlValue) -> Sequence[asyncpg.Record]:
        """Return all rows of a query."""
        return await self._connection.fetch(sql, *_storable(parameters))

    async def fetch_one(self, sql: str, *parameters: SqlValue) -> asyncpg.Record | None:
        """Return the first row of a query."""
        return await self._connection.fetchrow(sql, *_storable(parameters))

    async def fetch_for_update(self, sql: str, *parameters: SqlValue) -> Sequence[asyncpg.Record]:
        """Return all rows of a query in their latest version, locked."""
        return await self.fetch(f"{sql} FOR UPDATE", *parameters)

    async def fetch_unlocked(self, sql: str, *parameters: SqlValue) -> Sequence[asyncpg.Record]:
        """Return the rows of a query as for update, but leave out those that somebody else has."""
        return await self.fetch(f"{sql} FOR UPDATE SKIP LOCKED", *parameters)

    async def execute(self, sql: str, *parameters: SqlValue) -> None:
        """Run one statement."""
        await self._connection.execute(sql, *_storable(parameters))

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        """Run one statement once per row of parameters."""
        if values := [_storable(row) for row in rows]:
            await self._connection.executemany(sql, values)

    async def lock(self, name: str) -> None:
        """Wait until no other transaction holds this lock, and hold it until the end."""
        await self.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)

    def announce(self, task_id: str) -> None:
        """Wake the task's watchers, in all processes, once this transaction is durable."""
        self.announced.add(task_id)


def _storable(parameters: Sequence[SqlValue]) -> list[SqlValue]:
    """Return parameters as the server takes them: it stores every character but NUL."""
    return [
        each.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(each, str) else each
        for each in parameters
    ]


class PostgresDatabase:
    """Runs transactions, several at once.

    One that failed without having changed anything, because the server restarts or another
    transaction was in the way, is run again. If the connection is lost during the commit, nobody
    can say what became of it; the caller gets the error then, and finds out by asking again.
    """

    def __init__(self, pool: "Pool", sender: Sender, on_change: Callable[[str], None]) -> None:
        self._pool = pool
        self._sender = sender
        self._on_change = on_change
        self._running: set[asyncio.Task[Any]] = set()

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction that is durable on return and rolled back if it raises."""
        # It runs to its end, whatever happens to the caller.
        running = asyncio.create_task(_persist(partial(self._write, work)))
        self._running.add(running)
        running.add_done_callback(self._forget)
        return await asyncio.shield(running)

    def _forget(self, running: asyncio.Task[Any]) -> None:
        self._running.discard(running)
        # Its caller may have left; what went wrong has been logged.
        if not running.cancelled():
            running.exception()

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads, and sees one state of the database throughout."""
        return await _persist(partial(self._read, work))

    async def purge(self) -> None:
        """Do nothing: the server's vacuum frees what no transaction can see any more."""

    async def finish(self) -> None:
        """Wait for the transactions whose callers have left."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _write(self, work: Work[T]) -> T:
        async with self._pool.acquire(timeout=CONNECT_S) as connection:
            transaction = PostgresTransaction(connection)
            frame = connection.transaction(isolation="read_committed")
            await frame.start()
            try:
                result = await work(transaction)
                await self._sender.send(connection, transaction.announced)
            except BaseException:
                # On a lost connection there is nothing to roll back.
                with suppress(Exception):
                    await frame.rollback()
                raise
            try:
                await frame.commit()
            except Exception as error:
                if is_outage(error):
                    raise _UnknownOutcome(name_of(error)) from None
                raise
        for task_id in transaction.announced:
            self._on_change(task_id)
        return result

    async def _read(self, work: Work[T]) -> T:
        async with (
            self._pool.acquire(timeout=CONNECT_S) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await work(PostgresTransaction(connection))


class _UnknownOutcome(Exception):
    """The connection was lost while a transaction was being committed."""


async def _persist(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what an attempt returns, the first or a later one. Raises ServiceError."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + PATIENCE_S
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await attempt()
        except _UnknownOutcome as error:
            log.error("outcome of a transaction unknown", error=str(error))
            raise unavailable() from None
        except Exception as error:
            if not (is_outage(error) or is_conflict(error)):
                raise
            if loop.time() + pause_s > give_up_at:
                log.error("database does not answer", error=name_of(error))
                raise unavailable() from None
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


@asynccontextmanager
async def opened(
    url: str, *, pool_size: int, sender: Sender, on_change: Callable[[str], None]
) -> AsyncIterator[PostgresDatabase]:
    """Connect to the database, and create or migrate its tables.

    `on_change` is called with the id of each task that got new events here. Raises DatabaseError.
    """
    async with connected(url) as connection:
        await migrate(connection)
    async with asyncpg.create_pool(
        url,
        # The first is made when it is needed.
        min_size=0,
        max_size=pool_size,
        timeout=CONNECT_S,
        command_timeout=STATEMENT_S,
        statement_cache_size=0,
        reset=_leave,
    ) as pool:
        database = PostgresDatabase(pool, sender, on_change)
        try:
            yield database
        finally:
            await database.finish()


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[Connection]":
    """Open one connection. Raises DatabaseError when that fails, or what is done with it."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S, statement_cache_size=0)
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_S)
    except (asyncpg.InterfaceError, ValueError):
        # Its text may hold parts of the URL.
        raise DatabaseError("PostgreSQL: the URL is not one of a database") from None
    except (asyncpg.PostgresError, OSError) as error:
        raise DatabaseError(f"PostgreSQL: {str(error) or name_of(error)}") from None


async def _leave(connection: "Connection") -> None:
    """Leave a connection as it is: nothing is changed that would have to be reset."""
