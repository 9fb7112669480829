"""Which database several replicas share, and what is said of one that cannot be used."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from parley.doctor.databases import examine_databases
from parley.plan.database import require_reachable, with_database
from parley.plan.errors import PlanError

DATABASE = "postgresql://me:hush@db.example/parley"


def test_one_database_is_for_all_services() -> None:
    given = with_database({"TASK_DATABASE": "own.sqlite3"}, DATABASE, replicas=1)
    assert (given["TASK_DATABASE"], given["AVATAR_DATABASE"]) == (DATABASE, DATABASE)
    given = with_database({"TASK_DATABASE": DATABASE}, None, replicas=2)
    assert given["AVATAR_DATABASE"] == DATABASE
    assert with_database({"TASK_DATABASE": DATABASE}, None, replicas=1) == {
        "TASK_DATABASE": DATABASE
    }


def test_a_database_may_be_named_by_a_file(tmp_path: Path) -> None:
    file = tmp_path / "database"
    file.write_text(f"{DATABASE}\n")
    given = {"TASK_DATABASE_FILE": str(file)}
    assert with_database(given, None, replicas=2)["TASK_DATABASE"] == DATABASE
    with pytest.raises(PlanError, match="TASK_DATABASE_FILE"):
        with_database({"TASK_DATABASE_FILE": "/nowhere"}, None, replicas=2)


@pytest.mark.parametrize("given", [{}, {"TASK_DATABASE": "var/tasks.sqlite3"}])
def test_several_replicas_need_a_database(given: dict[str, str]) -> None:
    with pytest.raises(PlanError, match="--replicas 2 needs --database"):
        with_database(given, None, replicas=2)
    with pytest.raises(PlanError, match="--database must be like"):
        with_database(given, "var/tasks.sqlite3", replicas=1)


@pytest.mark.parametrize(
    "database", [f"postgresql://me:hush@127.0.0.1:{port}/x" for port in (1, 0)]
)
async def test_a_database_that_cannot_be_used_is_named_without_its_password(database: str) -> None:
    with pytest.raises(PlanError, match="PostgreSQL") as caught:
        await require_reachable(database)
    assert "hush" not in str(caught.value)
    [told] = await examine_databases({"TASK_DATABASE": database})
    assert (told.subject, told.verdict) == ("database", "problem")
    assert "hush" not in told.found + told.remedy


@pytest.fixture
async def without_tls() -> AsyncIterator[int]:
    """Return the port of a server that answers as PostgreSQL does when it has no TLS."""

    async def decline(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(decline, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("rest", "told", "remedy"),
    [
        (":hush@127.0.0.1:{port}/x?sslmode=require", "offers no TLS", "Have it offer TLS"),
        (":hu@hush@127.0.0.1:{port}/x", "@, /, ? and # in a password", "Correct the address"),
        (":1/hush@127.0.0.1:{port}/x", "@, /, ? and # in a password", "Correct the address"),
        (
            ":hush@127.0.0.1:{port}/x?sslmode=verify-ca&sslrootcert=/nowhere",
            "there is no file that sslrootcert names",
            "Correct the address",
        ),
        (":hush@nowhere.invalid/x", "no host has this name", "Correct the host"),
    ],
)
async def test_a_wrong_address_is_no_server_that_is_away(
    rest: str, told: str, remedy: str, without_tls: int
) -> None:
    database = "postgresql://me" + rest.format(port=without_tls)
    [found] = await examine_databases({"TASK_DATABASE": database})
    assert told in found.found
    assert found.remedy.startswith(remedy)
    assert "hush" not in found.found + found.remedy


async def test_what_the_server_refuses_is_told(postgres_url: str) -> None:
    joint = "&" if "?" in postgres_url else "?"
    for setting in ("foo=hush", "timezone=hush", "server_version=hush"):
        [found] = await examine_databases({"TASK_DATABASE": f"{postgres_url}{joint}{setting}"})
        assert "refuses a setting after ? in the address" in found.found
        assert "hush" not in found.found + found.remedy


async def test_a_user_that_the_server_refuses_is_to_be_corrected(postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    host = parts.netloc.rpartition("@")[2]
    database = parts._replace(netloc=f"nobody_{uuid4().hex}:hush@{host}").geturl()
    [found] = await examine_databases({"TASK_DATABASE": database})
    assert "refuses this user or password" in found.found
    assert found.remedy == "Correct the user or password in TASK_DATABASE."
    assert "hush" not in found.found
