"""Storage in one SQLite file, for one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from services.task.access.store import SqlCredentials
from services.task.domain.tasks import Clock
from services.task.jobs import Jobs
from services.task.journal import replicas
from services.task.journal.audit import SqlAuditLog
from services.task.journal.database import Database
from services.task.journal.journal import sql_journal
from services.task.journal.webhooks import SqlWebhooks
from services.task.notifier import TaskNotifier
from services.task.ports.storage import Storage
from services.task.sqlite.database import opened
from services.task.sqlite.timeline import Timeline, boot_id, continue_from

log = structlog.get_logger(__name__)


@asynccontextmanager
async def sqlite_storage(
    path: Path, clock: Clock, *, clock_offset_s: float = 0.0
) -> AsyncIterator[Storage]:
    """Open the file, creating or migrating it. `clock` is a steady clock plus `clock_offset_s`.

    Raises DatabaseError.
    """
    notifier = TaskNotifier()
    async with opened(path, notifier.publish, clock=clock) as database, Jobs() as jobs:
        timeline = Timeline(boot_id=boot_id(), offset=timedelta(seconds=clock_offset_s))
        await _continue(database, timeline)
        journal = sql_journal(database, clock, jobs)
        yield Storage(
            journal=journal,
            webhooks=SqlWebhooks(database),
            audit=SqlAuditLog(database),
            notifier=notifier,
            credentials=SqlCredentials(database, clock),
            probe=database.probe,
        )


async def _continue(database: Database, timeline: Timeline) -> None:
    """Take over from the process before, and move times onto the timeline of this one."""
    shift = await database.transact(partial(continue_from, now=timeline))
    await database.transact(replicas.succeed)
    if shift:
        log.warning("times of tasks shifted with the wall clock", by_s=shift.total_seconds())
