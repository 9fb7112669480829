"""A SQLite file with its own thread: a transaction is one function that runs there."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import Clock
from services.task.journal.database import DatabaseError, Transaction, Work
from services.task.journal.rows import SqlValue, to_micros
from services.task.sqlite.file import COMPANIONS, DatabaseFile, Place, create_private, held
from services.task.sqlite.schema import migrate

log = structlog.get_logger(__name__)

T = TypeVar("T")

CACHE_KIB = 64 * 1024
"""At most; a large file needs it for the pages of its indexes that new tasks go to."""
RETRY_AFTER_S = 5.0
WHAT_TO_DO = "restore a backup, or see `parley journal check` and `parley journal recover`"


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


class Unusable(Exception):
    """The file must not be used any more, until an operator has looked after it."""


class SqliteDatabase:
    """Runs transactions one after the other."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        reconnect: Callable[[], sqlite3.Connection],
        file: DatabaseFile,
        executor: ThreadPoolExecutor,
        on_change: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._reconnect = reconnect
        self._file = file
        self._executor = executor
        self._on_change = on_change
        self._failure: str | None = None
        """Why the last transaction failed."""
        self._is_unusable = False

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction that is durable on return and rolled back if it raises."""
        return await self._run(work, "BEGIN IMMEDIATE")

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads."""
        return await self._run(work, "BEGIN")

    async def purge(self) -> None:
        """Empty the log of writes; in the database itself, what is deleted is overwritten."""
        await self._in_thread(self._checkpoint)

    def _checkpoint(self) -> None:
        if self._is_unusable:
            raise Unusable
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    async def probe(self) -> None:
        """Find out whether the file is in its place, and can be written again if it could not be.

        Raises ServiceError.
        """
        loop = asyncio.get_running_loop()
        await self._in_thread(lambda: self._probe(loop))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    async def _run(self, work: Work[T], begin: str) -> T:
        loop = asyncio.get_running_loop()
        return await self._in_thread(lambda: self._transact(work, begin, loop))

    async def _in_thread(self, step: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            # The thread works for the same caller.
            return await loop.run_in_executor(self._executor, copy_context().run, step)
        except Unusable:
            raise _unavailable() from None
        except sqlite3.DatabaseError as error:
            if not is_outage(error):
                raise
            self._note(error.sqlite_errorname)
            raise _unavailable() from None

    def _transact(self, work: Work[T], begin: str, loop: asyncio.AbstractEventLoop) -> T:
        if self._is_unusable:
            raise Unusable
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

    def _probe(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_unusable:
            raise Unusable
        match self._file.place():
            case Place.EMPTY:
                self._write_again()
            case Place.ANOTHER:
                self._is_unusable = True
                log.error("DATABASE FILE WAS REPLACED; nothing is recorded until a restart")
                raise Unusable
            case Place.SAME:
                pass
        if self._failure is not None:
            # Only a write shows that there is room again.
            self._transact(_write_something, "BEGIN IMMEDIATE", loop)
            self._failure = None
            log.info("database usable again")

    def _write_again(self) -> None:
        """Put the content of the deleted file, which is still open, back in its place."""
        log.error("DATABASE FILE WAS DELETED; it is written again")
        path = self._file.path
        copy = path.with_name(f"{path.name}.copy")
        copy.unlink(missing_ok=True)
        try:
            create_private(copy)
        except OSError as error:
            log.error("database not written again", error=str(error))
            raise Unusable from None
        self._connection.execute("VACUUM INTO ?", (str(copy),))
        self._is_unusable = True
        self._connection.close()
        for each in COMPANIONS:
            # They belong to the deleted file.
            path.with_name(path.name + each).unlink(missing_ok=True)
        try:
            os.replace(copy, path)
            self._connection = self._reconnect()
        except (OSError, DatabaseError) as error:
            log.error("database not opened again", error=str(error))
            raise Unusable from None
        self._file.note()
        self._is_unusable = False

    def _note(self, failure: str) -> None:
        if failure.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            self._is_unusable = True
            log.error("DATABASE FILE IS DAMAGED; nothing is recorded", what_to_do=WHAT_TO_DO)
        elif failure != self._failure:
            log.error("database failed", error=failure)
        self._failure = failure


async def _write_something(transaction: Transaction) -> None:
    # Nothing reads it, and SQLite writes no page that stays the same.
    [row] = await transaction.fetch("PRAGMA user_version")
    await transaction.execute(f"PRAGMA user_version = {row['user_version'] ^ 1}")


def _unavailable() -> ServiceError:
    return ServiceError(
        Reason.JOURNAL_UNAVAILABLE,
        "The journal cannot be used at the moment.",
        retry_after_s=RETRY_AFTER_S,
    )


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


def is_outage(error: sqlite3.DatabaseError) -> bool:
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
    with held(path) as file, ThreadPoolExecutor(1, thread_name_prefix="journal") as executor:
        database = SqliteDatabase(
            await loop.run_in_executor(executor, _connect, path, clock),
            reconnect=partial(_connect, path, clock),
            file=file,
            executor=executor,
            on_change=on_change,
        )
        file.note()
        try:
            yield database
        finally:
            await loop.run_in_executor(executor, database.close)


def _connect(path: Path, clock: Clock) -> sqlite3.Connection:
    """Open the file, creating or migrating it. Raises DatabaseError."""
    try:
        create_private(path)
        connection = sqlite3.connect(path, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"{path}: {error}") from None
    try:
        connection.row_factory = sqlite3.Row
        if damage := damage_of(connection):
            raise DatabaseError(f"the file is damaged ({damage}): {WHAT_TO_DO}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.create_function("now_micros", 0, lambda: to_micros(clock()))
        migrate(connection)
    except (sqlite3.Error, DatabaseError) as error:
        connection.close()
        raise DatabaseError(f"{path}: {error}") from None
    return connection


def damage_of(connection: sqlite3.Connection) -> str:
    """Return what is wrong with the structure of a file; empty when nothing is."""
    try:
        [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return str(error)
        raise
    text = str(found)
    return "" if text == "ok" else text.splitlines()[-1]
