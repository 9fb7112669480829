"""Storage in one SQLite file: a journal, and a notifier within this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from services.task.notifier import TaskNotifier
from services.task.ports import Storage
from services.task.sqlite.database import opened
from services.task.sqlite.journal import SqliteJournal
from services.task.sqlite.timeline import Timeline, boot_id
from services.task.tasks import Clock


@asynccontextmanager
async def sqlite_storage(
    path: Path, clock: Clock, *, clock_offset_s: float = 0.0
) -> AsyncIterator[Storage]:
    """Open the file, creating or migrating it. `clock` is a steady clock plus `clock_offset_s`.

    Raises DatabaseError.
    """
    notifier = TaskNotifier()
    async with opened(path, on_change=notifier.publish) as database:
        journal = SqliteJournal(database, clock)
        await journal.continue_from(
            Timeline(boot_id=boot_id(), offset=timedelta(seconds=clock_offset_s))
        )
        yield Storage(journal=journal, notifier=notifier)
