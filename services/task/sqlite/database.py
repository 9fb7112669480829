"""A SQLite file with its own thread: a transaction is one function that runs there."""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

from services.task.sqlite.schema import MIGRATIONS

T = TypeVar("T")
SqlValue: TypeAlias = str | int | bytes | None
Parameters: TypeAlias = Sequence[SqlValue] | Mapping[str, SqlValue]


class DatabaseError(Exception):
    """The file cannot be used as the database; the message says why."""


class Transaction:
    """What a function may do within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.announced: set[str] = set()

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def announce(self, task_id: str) -> None:
        """Wake the task's watchers once this transaction is durable."""
        self.announced.add(task_id)


class Database:
    """Runs transactions one after the other.

    A transaction is all or nothing, whatever happens to its caller: one that is cancelled leaves it
    either complete, with watchers woken, or not begun.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        executor: ThreadPoolExecutor,
        on_change: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._executor = executor
        self._on_change = on_change

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction that is durable on return and rolled back if it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._transact, work, loop)

    def _transact(self, work: Callable[[Transaction], T], loop: asyncio.AbstractEventLoop) -> T:
        transaction = Transaction(self._connection)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(transaction)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        for task_id in transaction.announced:
            loop.call_soon_threadsafe(self._on_change, task_id)
        return result


@asynccontextmanager
async def opened(path: Path, on_change: Callable[[str], None]) -> AsyncIterator[Database]:
    """Open the database, creating or migrating it, and keep every other process out.

    `on_change` is called in the loop with the id of each task that got new events. Raises
    DatabaseError.
    """
    loop = asyncio.get_running_loop()
    with _locked(path), ThreadPoolExecutor(1, thread_name_prefix="journal") as executor:
        connection = await loop.run_in_executor(executor, _connect, path)
        try:
            yield Database(connection, executor, on_change)
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


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: {error}") from None
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise DatabaseError(f"{path}: {error}") from None
    except DatabaseError:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, time INTEGER NOT NULL)"
    )
    version = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
    if version > len(MIGRATIONS):
        raise DatabaseError(
            f"{path}: its schema is version {version}, newer than this program's {len(MIGRATIONS)}"
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}"
            f"INSERT INTO migrations VALUES ({number}, unixepoch() * 1000000); COMMIT;"
        )
