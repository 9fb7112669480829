"""Each backend of the task service's storage; what the ports promise holds for every one."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from services.task.ports.journal import Journal
from services.task.ports.logs import Notifier
from services.task.ports.replicas import LEASE_S
from services.task.ports.storage import Storage
from services.task.postgres.storage import postgres_storage
from services.task.sqlite.storage import sqlite_storage
from tests.support.journal import ExpireLeases, OpenStorage
from tests.support.task import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgres"])
def open_storage(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> OpenStorage:
    """Opens the test's storage, as often as the test likes, once at a time."""
    match request.param:
        case "sqlite":
            return partial(sqlite_storage, tmp_path / "tasks.sqlite3", clock)
        case "postgres":
            return partial(postgres_storage, request.getfixturevalue("journal_url"), clock)
        case unknown:
            raise AssertionError(f"no backend {unknown}")


@pytest.fixture
def expire_leases(request: pytest.FixtureRequest, clock: ManualClock) -> ExpireLeases:
    """Lets the time pass after which a replica without a sign of life holds nothing."""

    async def on_sqlite() -> None:
        clock.advance(LEASE_S)

    async def on_postgres() -> None:
        connection = await asyncpg.connect(request.getfixturevalue("journal_url"))
        await connection.execute("UPDATE replicas SET expires_at = now_micros()")
        await connection.close()

    match request.node.callspec.params["open_storage"]:
        case "sqlite":
            return on_sqlite
        case "postgres":
            return on_postgres
        case unknown:
            raise AssertionError(f"no backend {unknown}")


@pytest.fixture
async def storage(open_storage: OpenStorage) -> AsyncIterator[Storage]:
    async with open_storage() as opened:
        yield opened


@pytest.fixture
def journal(storage: Storage) -> Journal:
    return storage.journal


@pytest.fixture
def notifier(storage: Storage) -> Notifier:
    return storage.notifier
