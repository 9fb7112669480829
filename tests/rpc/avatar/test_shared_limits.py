"""Replicas share the cloud's rate limit through a real PostgreSQL, and survive its absence."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest

from services.avatar.postgres.database import (
    Database,
    DatabaseAwayError,
    DatabaseError,
    migrated,
    opened,
)
from services.avatar.postgres.limits import PostgresRateLimits
from services.avatar.postgres.schema import MIGRATIONS
from services.avatar.vendor.actions import Action
from services.avatar.vendor.limits import (
    CALLS,
    ProcessRateLimits,
    RateLimitedError,
    RateLimits,
    Turn,
)
from tests.support.avatar_rig import APP_ID, SERVER_SECRET
from tests.support.compose import ROOT
from tests.support.pooler import pooler
from tests.support.postgres import OwnServer, own_server

QUERY = Action.QUERY_STREAM_TASKS
CREATE = Action.CREATE_STREAM_TASK
STOP = Action.STOP_STREAM_TASK
PATIENT_S = 60
BRIEF_S = 0.25
"""A window that a test can wait for."""
LONG_S = 600
"""One that no test outlasts."""
SHARERS = 5


def shared(database: Database, *, window_s: float) -> PostgresRateLimits:
    alone = ProcessRateLimits(sharers=lambda: SHARERS, window_s=window_s)
    return PostgresRateLimits(database, alone=alone, window_s=window_s)


@pytest.fixture
async def databases(postgres_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """What two replicas open, each with its own connections."""
    async with (
        opened(postgres_url, connections=2) as one,
        opened(postgres_url, connections=2) as other,
    ):
        yield one, other


async def granted(limits: RateLimits, action: Action, *, within_s: float = 0) -> bool:
    try:
        await limits.take(action, within_s=within_s)
    except RateLimitedError:
        return False
    return True


def assert_within_the_limit(turns: list[Turn]) -> None:
    at = sorted(turn.at for turn in turns)
    for first, eleventh in zip(at, at[CALLS:], strict=False):
        assert eleventh - first >= BRIEF_S - 1e-6


async def test_no_window_holds_more_than_ten_calls_of_all_replicas(
    databases: tuple[Database, Database],
) -> None:
    replicas = [shared(each, window_s=BRIEF_S) for each in databases]
    turns = await asyncio.gather(
        *(replicas[number % 2].take(QUERY, within_s=PATIENT_S) for number in range(45))
    )
    assert_within_the_limit(list(turns))


async def test_no_replica_starves_another(databases: tuple[Database, Database]) -> None:
    """Each alone would take all that there is, and goes on until both have had their share."""
    replicas = [shared(each, window_s=BRIEF_S) for each in databases]
    taken = [0, 0]

    async def go_on_taking(index: int) -> None:
        while min(taken) < CALLS:
            await replicas[index].take(QUERY, within_s=PATIENT_S)
            taken[index] += 1

    async with asyncio.timeout(PATIENT_S):
        await asyncio.gather(*(go_on_taking(number % 2) for number in range(4 * CALLS)))


async def test_what_one_replica_took_the_other_lacks(
    databases: tuple[Database, Database],
) -> None:
    one, other = (shared(each, window_s=LONG_S) for each in databases)
    for _ in range(CALLS):
        await one.take(QUERY, within_s=0)
    with pytest.raises(RateLimitedError) as caught:
        await other.take(QUERY, within_s=0)
    assert 0 < caught.value.retry_after_s <= LONG_S
    assert await granted(other, Action.DO_ACTION)


async def test_a_turn_that_one_replica_gives_back_another_can_take(
    databases: tuple[Database, Database],
) -> None:
    one, other = (shared(each, window_s=LONG_S) for each in databases)
    turns = [await one.take(QUERY, within_s=0) for _ in range(CALLS)]
    await turns[3].refund()
    await turns[3].refund()  # It is there no more.
    assert [await granted(other, QUERY) for _ in range(2)] == [True, False]


async def test_stops_go_at_once_during_a_storm_of_starts(
    databases: tuple[Database, Database],
) -> None:
    replicas = [shared(each, window_s=LONG_S) for each in databases]
    starts = [
        asyncio.create_task(granted(replicas[number % 2], CREATE, within_s=1))
        for number in range(400)
    ]
    await asyncio.wait(starts, return_when=asyncio.FIRST_COMPLETED)
    stops = [
        asyncio.create_task(granted(replicas[number % 2], STOP)) for number in range(CALLS + 1)
    ]
    assert sum(await asyncio.gather(*stops)) == CALLS
    assert sum(await asyncio.gather(*starts)) == CALLS


async def test_a_refusal_by_the_cloud_holds_back_all_replicas_but_not_their_stops(
    databases: tuple[Database, Database],
) -> None:
    one, other = (shared(each, window_s=LONG_S) for each in databases)
    await granted(other, QUERY)
    await one.hold(PATIENT_S)
    for limits in (one, other):
        assert not await granted(limits, QUERY, within_s=1)
        assert not await granted(limits, CREATE, within_s=1)
        assert await granted(limits, STOP)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that a test may take down, if it starts it again."""
    with own_server() as server:
        yield server


@pytest.fixture
def endangered_url(server: OwnServer) -> Iterator[str]:
    """An empty database of that server."""
    with server.server.database() as database:
        yield database.url


@contextmanager
def suspended(server: OwnServer) -> Iterator[None]:
    """Stop a server from doing anything, while its connections stay open."""
    folder = server.server.url.rpartition("host=")[2]
    processes = [
        process
        for each in psutil.process_iter(["cmdline"])
        if folder in " ".join(each.info["cmdline"] or ())
        for process in (each, *each.children())
    ]
    assert processes
    for each in processes:
        each.suspend()
    try:
        yield
    finally:
        for each in processes:
            each.resume()


async def until_back(database: Database) -> None:
    """Ask as the heartbeat does until there is an answer."""
    async with asyncio.timeout(60):
        while True:
            try:
                await database.insist("SELECT")
                return
            except DatabaseAwayError:
                await asyncio.sleep(0.05)


async def share_of(limits: RateLimits) -> int:
    """Return how many calls are granted at once."""
    return [await granted(limits, CREATE) for _ in range(CALLS)].count(True)


async def test_without_the_database_each_replica_has_its_share_and_all_stops(
    server: OwnServer, endangered_url: str
) -> None:
    async with (
        opened(endangered_url, connections=2) as one,
        opened(endangered_url, connections=2) as other,
    ):
        replicas = [shared(each, window_s=LONG_S) for each in (one, other)]
        await replicas[0].take(QUERY, within_s=0)

        server.stop()

        for limits in replicas:
            assert await share_of(limits) == CALLS // SHARERS
            assert all([await granted(limits, STOP) for _ in range(CALLS)])

        server.start()
        for database in (one, other):
            await until_back(database)
        assert await share_of(replicas[0]) == CALLS
        assert await share_of(replicas[1]) == 0


async def test_a_database_that_hangs_does_not_keep_anyone_waiting(
    server: OwnServer, endangered_url: str
) -> None:
    async with opened(endangered_url, connections=2) as database:
        limits = shared(database, window_s=LONG_S)
        await limits.take(QUERY, within_s=0)
        with suspended(server):
            assert await share_of(limits) == CALLS // SHARERS
            with pytest.raises(DatabaseAwayError):
                await database.insist("SELECT")
        await until_back(database)
        assert await share_of(limits) == CALLS


async def test_a_replica_starts_without_the_database_and_migrates_it_later(
    server: OwnServer, endangered_url: str
) -> None:
    server.stop()
    async with opened(endangered_url, connections=1) as database:
        assert await granted(shared(database, window_s=LONG_S), STOP)
        server.start()
        await until_back(database)
        row = await database.ask("SELECT count(*) AS steps FROM avatar.migrations")
        assert row is not None
        assert row["steps"] > 0


async def test_replicas_that_start_at_once_migrate_once(postgres_url: str) -> None:
    steps = await asyncio.gather(*(migrated(postgres_url) for _ in range(4)))
    assert sorted(steps) == [0, 0, 0, len(MIGRATIONS)]


async def test_transactions_may_be_pooled(
    server: OwnServer, endangered_url: str, tmp_path: Path
) -> None:
    folder = urlsplit(endangered_url).query.removeprefix("host=")
    pooled_url = endangered_url.replace(folder, str(tmp_path))
    async with (
        pooler(f"{folder}/.s.PGSQL.5432", f"{tmp_path}/.s.PGSQL.5432") as through,
        opened(pooled_url, connections=4) as database,
    ):
        limits = shared(database, window_s=BRIEF_S)
        turns = await asyncio.gather(
            *(limits.take(action, within_s=PATIENT_S) for action in (QUERY, CREATE) * 15)
        )
        await turns[0].refund()
        await limits.hold(0)
        assert through.transactions > len(turns)
        assert_within_the_limit(list(turns[::2]))


async def test_a_job_migrates_for_a_service_that_may_not(
    server: OwnServer, endangered_url: str
) -> None:
    """Its role needs what docs/operations.md says."""
    assert await migrated(endangered_url) == len(MIGRATIONS)
    connection = await asyncpg.connect(endangered_url)
    await connection.execute(
        "CREATE ROLE avatars LOGIN; GRANT USAGE ON SCHEMA avatar TO avatars;"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA avatar TO avatars"
    )
    try:
        url = endangered_url.replace("//postgres@", "//avatars@")
        async with opened(url, connections=1) as database:
            limits = shared(database, window_s=LONG_S)
            assert await share_of(limits) == CALLS
    finally:
        await connection.execute("DROP OWNED BY avatars; DROP ROLE avatars")
        await connection.close()


async def test_what_only_an_operator_can_mend_is_told(postgres_url: str) -> None:
    url = urlunsplit(urlsplit(postgres_url)._replace(path="/no_such_database"))
    with pytest.raises(DatabaseError, match="no_such_database"):
        async with opened(url, connections=1):
            pass
    with pytest.raises(DatabaseError) as caught:
        await migrated("postgresql://user:secret@host:port/name")
    assert "secret" not in str(caught.value)


async def test_a_process_says_in_a_line_that_the_database_refuses_it(
    endangered_url: str, tmp_path: Path
) -> None:
    secret = tmp_path / "database"
    secret.write_text(endangered_url.replace("//postgres@", "//nobody:hush@"))
    account = {"ENGINE_APP_ID": str(APP_ID), "ENGINE_SERVER_SECRET": SERVER_SECRET}
    outcomes = await asyncio.gather(
        ended("services.avatar", AVATAR_DATABASE_FILE=str(secret), **account),
        # A job that migrates needs no account.
        ended("services.avatar.migrate", AVATAR_DATABASE_FILE=str(secret)),
    )
    for code, told in outcomes:
        assert code == 1
        assert told.strip().startswith('avatar: AVATAR_DATABASE: role "nobody"')
        assert "hush" not in told
        assert len(told.splitlines()) == 1


async def ended(module: str, **variables: str) -> tuple[int | None, str]:
    """Run a module to its end; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env={**os.environ, "PARLEY_LOG_LEVEL": "error", **variables},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            _, told = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    return process.returncode, told.decode()
