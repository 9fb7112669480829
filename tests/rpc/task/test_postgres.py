"""The service as a process on PostgreSQL: how it starts, dies and finds its tables."""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from parley.processes.running import Command, running
from services.task.journal.database import DatabaseError
from services.task.journal.migrations import Migration
from services.task.postgres.database import connected
from services.task.postgres.schema import MIGRATIONS, migrate
from services.task.postgres.storage import postgres_storage
from tests.support.avatar_service import scripted_avatar_service
from tests.support.compose import ROOT
from tests.support.journal import add
from tests.support.task import ManualClock, ScriptedCloud
from tests.support.task_calls import create_streaming, get
from tests.support.task_machine import Machine

ADDITIVE = Migration(script="ALTER TABLE tasks ADD COLUMN note TEXT", is_additive=True)
BREAKING = Migration(script="ALTER TABLE tasks DROP COLUMN claim_by")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_process_continues_what_a_killed_one_began(
    cloud: ScriptedCloud, postgres_url: str
) -> None:
    async with scripted_avatar_service(cloud) as (target, _):
        machine = Machine(target, postgres_url)
        async with machine.process() as (process, tasks):
            on_air = await create_streaming(tasks)
            process.kill()
            await process.wait()
        async with machine.process() as (_, tasks):
            found = await get(tasks, on_air.task_id)
            assert (found.state, found.avatar_id) == (on_air.state, on_air.avatar_id)


async def ended(module: str, **variables: str) -> tuple[int, list[str]]:
    """Run a module to its end; return its exit code and what it said."""
    command = Command(
        name="task",
        words=(sys.executable, "-m", module),
        environment={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "gen")]),
            **variables,
        },
    )
    async with running(command, on_line=lambda *_: None, grace_s=10) as process:
        code = await process.wait()
        return code, list(process.tail)


async def test_a_database_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    secret = tmp_path / "database"
    secret.write_text("postgresql://me:hush@127.0.0.1:1/name")
    code, said = await ended("services.task", TASK_DATABASE_FILE=str(secret))
    assert (code, len(said)) == (1, 1)
    assert said[0].startswith("task: PostgreSQL: ")
    assert "hush" not in said[0]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush@127.0.0.1:many/name",
        "postgresql://me:hush@127.0.0.1/name?sslmode=hush",
        "postgresql://me@/name?host=/nowhere",
    ],
)
async def test_a_url_that_leads_nowhere_is_told_without_its_password(
    clock: ManualClock, url: str
) -> None:
    with pytest.raises(DatabaseError, match="PostgreSQL: ") as told:
        async with postgres_storage(url, clock):
            pass
    assert "hush" not in str(told.value)


async def test_a_job_migrates_for_services_that_may_not(
    postgres_url: str, clock: ManualClock
) -> None:
    assert await ended("services.task.migrate", TASK_DATABASE=postgres_url) == (0, [])
    async with connected(postgres_url) as owner:
        name = await owner.fetchval("SELECT current_database()")
        role = f"{name}_service"
        await owner.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD '{role}';"
            f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
        )
    try:
        parts = urlsplit(postgres_url)
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{role}:{role}@{host}"))
        async with postgres_storage(url, clock) as storage:
            await add(storage.journal, 1)
    finally:
        async with connected(postgres_url) as owner:
            await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_processes_that_start_together_migrate_once(postgres_url: str) -> None:
    async def start() -> int:
        async with connected(postgres_url) as connection:
            return await migrate(connection)

    steps = await asyncio.gather(*(start() for _ in range(4)))
    assert sorted(steps) == [0, 0, 0, len(MIGRATIONS)]


async def test_a_schema_with_additions_of_a_newer_release_is_used(
    postgres_url: str, clock: ManualClock
) -> None:
    async with connected(postgres_url) as connection:
        await migrate(connection, (*MIGRATIONS, ADDITIVE))
    async with postgres_storage(postgres_url, clock) as storage:
        known = await add(storage.journal, 1)
        assert await storage.journal.tasks.get(known.task_id) == known


async def test_a_newer_schema_is_refused(postgres_url: str, clock: ManualClock) -> None:
    async with connected(postgres_url) as connection:
        await migrate(connection, (*MIGRATIONS, ADDITIVE, BREAKING))
    newest = len(MIGRATIONS) + 2
    with pytest.raises(DatabaseError, match=f"version {newest}, which needs"):
        async with postgres_storage(postgres_url, clock):
            pass


async def test_a_step_that_fails_leaves_the_schema_as_it_was(postgres_url: str) -> None:
    wrong = Migration(script="ALTER TABLE nowhere ADD COLUMN note TEXT")
    with pytest.raises(DatabaseError, match="nowhere"):
        async with connected(postgres_url) as connection:
            await migrate(connection, (*MIGRATIONS, ADDITIVE, wrong))
    async with connected(postgres_url) as connection:
        assert await migrate(connection) == len(MIGRATIONS)
