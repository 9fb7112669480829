"""The database: atomic transactions, one process, a schema that grows."""

import asyncio
import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.journal.database import DatabaseError, Transaction, Work
from services.task.journal.migrations import Migration
from services.task.sqlite.database import opened
from services.task.sqlite.schema import MIGRATIONS, migrate

REQUEST = "INSERT INTO requests VALUES ('r', x'00', 'nobody', 1)"


def ignore(_: str) -> None:
    """There are no watchers."""


def statement(sql: str) -> Work[None]:
    """Return a transaction of one statement."""

    async def work(transaction: Transaction) -> None:
        await transaction.execute(sql)

    return work


async def count(transaction: Transaction) -> int:
    return len(await transaction.fetch("SELECT * FROM scratch"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "tasks.sqlite3"


async def make_scratch(path: Path) -> None:
    async with opened(path, ignore) as database:
        await database.transact(statement("CREATE TABLE scratch (x)"))


async def test_what_is_written_is_there_after_reopening(path: Path) -> None:
    await make_scratch(path)
    async with opened(path, ignore) as database:
        await database.transact(statement("INSERT INTO scratch VALUES (1)"))
    async with opened(path, ignore) as database:
        assert await database.transact(count) == 1


async def test_only_its_owner_may_read_it(path: Path) -> None:
    async with opened(path, ignore) as database:
        await database.transact(statement("CREATE TABLE scratch (x)"))
        files = [path, *(path.with_name(f"{path.name}{each}") for each in ("-wal", "-shm"))]
        assert {stat.S_IMODE(os.stat(each).st_mode) for each in files} == {0o600}


async def test_it_is_durable_and_checks_references(path: Path) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys")

    async def read(transaction: Transaction) -> list[object]:
        return [
            value
            for name in pragmas
            for row in await transaction.fetch(f"PRAGMA {name}")
            for value in row
        ]

    async with opened(path, ignore) as database:
        assert await database.transact(read) == ["wal", 2, 1]
        with pytest.raises(sqlite3.IntegrityError):
            await database.transact(statement(REQUEST))


async def test_a_transaction_that_raises_changes_nothing_and_tells_nobody(path: Path) -> None:
    await make_scratch(path)
    told: list[str] = []

    async def fail(transaction: Transaction) -> None:
        await transaction.execute("INSERT INTO scratch VALUES (1)")
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

    async def slow(transaction: Transaction) -> None:
        await transaction.execute("INSERT INTO scratch VALUES (1)")
        begun.set()
        may_end.wait()
        await transaction.execute("INSERT INTO scratch VALUES (2)")
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


async def test_nothing_else_may_be_awaited_in_a_transaction(path: Path) -> None:
    async def dawdle(transaction: Transaction) -> None:
        await transaction.execute("INSERT INTO scratch VALUES (1)")
        await asyncio.sleep(0)

    await make_scratch(path)
    async with opened(path, ignore) as database:
        with pytest.raises(RuntimeError, match="something else"):
            await database.transact(dawdle)
        assert await database.transact(count) == 0


def migrate_file(path: Path, *newer: Migration) -> None:
    """Take the steps of a newer release, which has some more."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, (*MIGRATIONS, *newer))


ADDITIVE = Migration(script="ALTER TABLE tasks ADD COLUMN note TEXT;", is_additive=True)
BREAKING = Migration(script="ALTER TABLE tasks DROP COLUMN claim_by;")


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await make_scratch(path)
    migrate_file(path, ADDITIVE, BREAKING)
    newest = len(MIGRATIONS) + 2
    with pytest.raises(DatabaseError, match=f"version {newest}, which needs .* {newest}; this"):
        async with opened(path, ignore):
            pass


async def test_a_schema_with_additions_of_a_newer_release_is_used(path: Path) -> None:
    await make_scratch(path)
    migrate_file(path, ADDITIVE)
    async with opened(path, ignore) as database:
        assert await database.transact(count) == 0
    migrate_file(path, ADDITIVE, BREAKING)


async def test_a_database_of_the_first_release_is_brought_up_to_date(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE migrations (version INTEGER PRIMARY KEY, time INTEGER NOT NULL)"
        )
        for number, step in enumerate(MIGRATIONS[:4], start=1):
            connection.executescript(step.script)
            connection.execute("INSERT INTO migrations VALUES (?, 0)", (number,))
    await make_scratch(path)


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


async def test_a_full_disk_is_told_and_passes(path: Path) -> None:
    await make_scratch(path)
    fill = statement("INSERT INTO scratch VALUES (zeroblob(1 << 20))")
    async with opened(path, ignore) as database:
        await database.transact(statement("PRAGMA max_page_count = 1"))
        with pytest.raises(ServiceError) as refused:
            await database.transact(fill)
        assert refused.value.reason is Reason.JOURNAL_UNAVAILABLE
        assert refused.value.retry_after_s
        assert await database.transact(count) == 0
        await database.transact(statement("PRAGMA max_page_count = 1000000"))
        await database.transact(fill)
        assert await database.transact(count) == 1
