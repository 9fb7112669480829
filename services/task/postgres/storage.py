"""Storage in PostgreSQL, for any number of processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from services.task.access.store import SqlCredentials
from services.task.domain.tasks import Clock
from services.task.jobs import Jobs
from services.task.journal.audit import SqlAuditLog
from services.task.journal.database import Transaction
from services.task.journal.journal import sql_journal
from services.task.journal.webhooks import SqlWebhooks
from services.task.notifier import TaskNotifier
from services.task.ports.storage import Storage
from services.task.postgres.database import opened
from services.task.postgres.news import Listener, Sender


@asynccontextmanager
async def postgres_storage(
    url: str, clock: Clock, *, listen_url: str | None = None, pool_size: int = 10
) -> AsyncIterator[Storage]:
    """Connect to the database, creating or migrating its tables.

    `url` may lead through pgbouncer in transaction mode; then `listen_url` must not. Raises
    DatabaseError.
    """
    notifier = TaskNotifier()
    sender = Sender()
    async with (
        opened(url, pool_size=pool_size, sender=sender, on_change=notifier.publish) as database,
        Jobs() as jobs,
    ):
        listener = Listener(listen_url or url, sender, notifier)
        jobs.begin(listener.run(), name="listener")
        journal = sql_journal(database, clock, jobs)
        yield Storage(
            journal=journal,
            webhooks=SqlWebhooks(database),
            audit=SqlAuditLog(database),
            notifier=notifier,
            credentials=SqlCredentials(database, clock),
            probe=partial(database.read, _look),
        )


async def _look(transaction: Transaction) -> None:
    await transaction.execute("SELECT 1")
