"""What PostgreSQL's failures do to a transaction: run again, given up, or of unknown outcome."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.journal.database import Transaction
from services.task.postgres import database as module
from services.task.postgres.database import PostgresDatabase, opened
from services.task.postgres.news import Sender

DISK_FULL, NO_PRIMARY, SHUTDOWN = "53100", "25006", "57P01"
SERIALIZATION, DEADLOCK, NOT_UNIQUE = "40001", "40P01", "23505"


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    async with opened(
        postgres_url, pool_size=2, sender=Sender(), on_change=lambda _: None
    ) as opened_database:
        yield opened_database


class Failing:
    """A transaction that fails with a code, until so many attempts have failed."""

    def __init__(self, code: str, *, failures: int) -> None:
        self._code = code
        self._failures = failures
        self.attempts = 0

    async def __call__(self, transaction: Transaction) -> int:
        """Write, then fail or succeed."""
        self.attempts += 1
        await transaction.execute("CREATE TABLE scratch (x INTEGER)")
        if self.attempts <= self._failures:
            await transaction.execute(
                f"DO $$ BEGIN RAISE EXCEPTION 'hush' USING ERRCODE = '{self._code}'; END $$"
            )
        return self.attempts


@pytest.mark.parametrize(
    "code", [DISK_FULL, NO_PRIMARY, SHUTDOWN, SERIALIZATION, DEADLOCK, NOT_UNIQUE]
)
async def test_what_passes_is_waited_for(database: PostgresDatabase, code: str) -> None:
    assert await database.transact(Failing(code, failures=2)) == 3


async def test_a_goodbye_that_arrives_before_the_end_is_waited_for(
    database: PostgresDatabase,
) -> None:
    """As the driver reports it when the server dies while a connection idles."""
    attempts = 0

    async def work(transaction: Transaction) -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise asyncpg.InternalClientError("cannot switch to state 15")
        return attempts

    assert await database.transact(work) == 3


@pytest.mark.parametrize("code", [DISK_FULL, NO_PRIMARY, SHUTDOWN, SERIALIZATION])
async def test_what_does_not_pass_in_time_is_told(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    work = Failing(code, failures=1000)
    with pytest.raises(ServiceError) as refused:
        await database.transact(work)
    assert refused.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert refused.value.retry_after_s
    assert "hush" not in refused.value.message


async def test_another_failure_is_not_tried_again(database: PostgresDatabase) -> None:
    work = Failing("22012", failures=1)
    with pytest.raises(Exception, match="hush"):
        await database.transact(work)
    assert work.attempts == 1


LOST_AT_COMMIT = """
    CREATE TABLE scratch (x INTEGER);
    CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER leave AFTER INSERT ON scratch DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION leave();
"""


async def test_a_transaction_of_unknown_outcome_is_not_run_again(
    database: PostgresDatabase,
) -> None:
    attempts = 0

    async def prepare(transaction: Transaction) -> None:
        await transaction.execute(LOST_AT_COMMIT)

    async def write(transaction: Transaction) -> None:
        nonlocal attempts
        attempts += 1
        await transaction.execute("INSERT INTO scratch VALUES (1)")

    await database.transact(prepare)
    with pytest.raises(ServiceError) as refused:
        await database.transact(write)
    assert refused.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert attempts == 1
