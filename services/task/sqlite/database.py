"""A SQLite file with its own thread: a transaction is one function that runs there."""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.task.journal.database import DatabaseError, Work
from services.task.journal.rows import SqlValue, to_micros
from services.task.sqlite.schema import migrate
from services.task.tasks import Clock

log = structlog.get_logger(__name__)

T = TypeVar("T")

RETRY_AFTER_S = 5.0


class SqliteTransaction:
    """What a function may do within one transaction; nothing here suspends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.announced: set[str] = set()

    async def fetch(self, sql: str, *parameters: SqlValue) -> Sequence[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection.execute(sql, _numbered(parameters)).fetchall()

    async def fetch_one(self, sql: str, *parameters: SqlValue) -> sqlite3.Row | None:
        """Return the first row of a query."""
        row: sqlite3.Row | None = self._connection.execute(sql, _numbered(parameters)).fetchone()
        return row

    async def fetch_for_update(self, sql: str, *parameters: SqlValue) -> Sequence[sqlite3.Row]:
        """Return all rows of a query; the transaction is the only one anyway."""
        return await self.fetch(sql, *parameters)

    async def fetch_unlocked(self, sql: str, *parameters: SqlValue) -> Sequence[sqlite3.Row]:
        """Return all rows of a query; nobody else has any."""
        return await self.fetch(sql, *parameters)

    async def execute(self, sql: str, *parameters: SqlValue) -> None:
        """Run one statement."""
        self._connection.execute(sql, _numbered(parameters))

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        """Run one statement once per row of parameters."""
        self._connection.executemany(sql, map(_numbered, rows))

    async def lock(self, name: str) -> None:
        """Hold a lock; the transaction is the only one anyway."""

    def announce(self, task_id: str) -> None:
        """Wake the task's watchers once this transaction is durable."""
        self.announced.add(task_id)


class SqliteDatabase:
    """Runs transactions one after the other."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        executor: ThreadPoolExecutor,
        on_change: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._executor = executor
        self._on_change = on_change

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction that is durable on return and rolled back if it raises."""
        return await self._run(work, "BEGIN IMMEDIATE")

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads."""
        return await self._run(work, "BEGIN")

    async def _run(self, work: Work[T], begin: str) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._transact, work, begin, loop)
        except sqlite3.DatabaseError as error:
            if not _is_outage(error):
                raise
            log.error("database failed", error=error.sqlite_errorname)
            raise ServiceError(
                Reason.DEPENDENCY_UNAVAILABLE,
                "The database cannot be used at the moment.",
                retry_after_s=RETRY_AFTER_S,
            ) from None

    def _transact(self, work: Work[T], begin: str, loop: asyncio.AbstractEventLoop) -> T:
        transaction = SqliteTransaction(self._connection)
        self._connection.execute(begin)
        try:
            result = _finished(work(transaction))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        for task_id in transaction.announced:
            loop.call_soon_threadsafe(self._on_change, task_id)
        return result


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a transaction, which runs to its end at once."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("a transaction awaits something else than its database")


def _numbered(parameters: Sequence[SqlValue]) -> dict[str, SqlValue]:
    """Return the values of $1, $2 and so on."""
    return {str(number): value for number, value in enumerate(parameters, start=1)}


def _is_outage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file or its disk is at fault, not a statement."""
    # Extended codes have the kind of error in their last byte.
    kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return kind in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
    )


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def opened(
    path: Path, on_change: Callable[[str], None], *, clock: Clock = _wall_clock
) -> AsyncIterator[SqliteDatabase]:
    """Open the database, creating or migrating it, and keep every other process out.

    `on_change` is called in the loop with the id of each task that got new events. By `clock`
    leases are over. Raises DatabaseError.
    """
    loop = asyncio.get_running_loop()
    with _locked(path), ThreadPoolExecutor(1, thread_name_prefix="journal") as executor:
        connection = await loop.run_in_executor(executor, _connect, path, clock)
        try:
            yield SqliteDatabase(connection, executor, on_change)
        finally:
            await loop.run_in_executor(executor, connection.close)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Each of two processes would take the other's running creations for leftovers of a crash.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f"{path.name}.lock").open("w")
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DatabaseError(f"{path}: another process uses this database") from None
        yield


def _connect(path: Path, clock: Clock) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: {error}") from None
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.create_function("now_micros", 0, lambda: to_micros(clock()))
        migrate(connection)
    except (sqlite3.Error, DatabaseError) as error:
        connection.close()
        raise DatabaseError(f"{path}: {error}") from None
    return connection
