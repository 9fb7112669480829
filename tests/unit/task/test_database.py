"""The database: atomic transactions, one process, a schema that grows."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from services.task.sqlite.database import DatabaseError, Transaction, opened
from services.task.sqlite.schema import MIGRATIONS

REQUEST = "INSERT INTO requests VALUES (?, x'00', ?, 1)"


def ignore(_: str) -> None:
    """There are no watchers."""


def count(transaction: Transaction) -> int:
    found: int = transaction.execute("SELECT count(*) FROM scratch").fetchone()[0]
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "tasks.sqlite3"


async def make_scratch(path: Path) -> None:
    async with opened(path, ignore) as database:
        await database.transact(
            lambda transaction: transaction.execute("CREATE TABLE scratch (x)").close()
        )


async def test_what_is_written_is_there_after_reopening(path: Path) -> None:
    await make_scratch(path)
    async with opened(path, ignore) as database:
        await database.transact(
            lambda transaction: transaction.execute("INSERT INTO scratch VALUES (1)").close()
        )
    async with opened(path, ignore) as database:
        assert await database.transact(count) == 1


async def test_it_is_durable_and_checks_references(path: Path) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys")

    def read(transaction: Transaction) -> list[object]:
        return [transaction.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]

    async with opened(path, ignore) as database:
        assert await database.transact(read) == ["wal", 2, 1]
        with pytest.raises(sqlite3.IntegrityError):
            await database.transact(lambda t: t.execute(REQUEST, ("r", "nobody")).close())


async def test_a_transaction_that_raises_changes_nothing_and_tells_nobody(path: Path) -> None:
    await make_scratch(path)
    told: list[str] = []

    def fail(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO scratch VALUES (1)")
        transaction.announce("task")
        raise ValueError("no")

    async with opened(path, told.append) as database:
        with pytest.raises(ValueError, match="no"):
            await database.transact(fail)
        assert await database.transact(count) == 0
    assert told == []


async def test_a_cancelled_caller_leaves_a_whole_transaction_and_told_watchers(path: Path) -> None:
    await make_scratch(path)
    told = asyncio.Event()
    begun, may_end = threading.Event(), threading.Event()

    def slow(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO scratch VALUES (1)")
        begun.set()
        may_end.wait()
        transaction.execute("INSERT INTO scratch VALUES (2)")
        transaction.announce("task")

    async with opened(path, lambda _: told.set()) as database:
        caller = asyncio.create_task(database.transact(slow))
        await asyncio.to_thread(begun.wait)
        caller.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await told.wait()
        assert await database.transact(count) == 2


async def test_a_second_process_is_kept_out(path: Path) -> None:
    async with opened(path, ignore):
        with pytest.raises(DatabaseError, match="another process"):
            async with opened(path, ignore):
                pass
    async with opened(path, ignore):
        pass


async def test_a_newer_schema_is_refused(path: Path) -> None:
    async with opened(path, ignore) as database:
        newer = len(MIGRATIONS) + 1
        await database.transact(
            lambda t: t.execute("INSERT INTO migrations VALUES (?, 0)", (newer,)).close()
        )
    with pytest.raises(DatabaseError, match=f"version {newer}, newer"):
        async with opened(path, ignore):
            pass


@pytest.fixture
def other_file(tmp_path: Path) -> Path:
    path = tmp_path / "other"
    path.write_bytes(b"this is no database, but it is long enough to look at" * 100)
    return path


async def test_another_kind_of_file_is_refused(other_file: Path) -> None:
    with pytest.raises(DatabaseError, match="not a database"):
        async with opened(other_file, ignore):
            pass


async def test_a_folder_that_cannot_be_made_is_refused(other_file: Path) -> None:
    with pytest.raises(DatabaseError, match=r"tasks\.sqlite3"):
        async with opened(other_file / "tasks.sqlite3", ignore):
            pass
