"""Opens or migrates the database that the settings name."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

from services.runtime.clock import SteadyClock
from services.task.domain.tasks import Clock
from services.task.ports.storage import Storage
from services.task.settings import DatabaseSettings
from services.task.sqlite.database import opened
from services.task.sqlite.storage import sqlite_storage

OpenStorage: TypeAlias = Callable[
    [DatabaseSettings, Clock, SteadyClock], AbstractAsyncContextManager[Storage]
]


def storage_of(
    settings: DatabaseSettings, clock: Clock, steady: SteadyClock
) -> AbstractAsyncContextManager[Storage]:
    """Return the storage to open; `clock` gives the time of `steady`. It raises DatabaseError."""
    if url := settings.database_url:
        # Its driver takes 20 ms of a start.
        from services.task.postgres.storage import postgres_storage

        listen_url = settings.database_listen
        return postgres_storage(
            url,
            clock,
            listen_url=listen_url.get_secret_value() if listen_url else None,
            pool_size=settings.database_pool,
        )
    return sqlite_storage(_path(settings), clock, clock_offset_s=steady.offset_s)


async def migrated(settings: DatabaseSettings) -> None:
    """Bring the database up to date. Raises DatabaseError."""
    if url := settings.database_url:
        from services.task.postgres.database import connected
        from services.task.postgres.schema import migrate

        async with connected(url) as connection:
            await migrate(connection)
        return
    async with opened(_path(settings), on_change=lambda _: None):
        pass


def _path(settings: DatabaseSettings) -> Path:
    return Path(settings.database.get_secret_value())
