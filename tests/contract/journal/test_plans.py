"""However much there is, each statement reads one task's rows or a bounded part of an index."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from services.runtime.callers.tenants import TenantQuota, Tenants
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.audit import Action, AuditFilter, AuditLog, deed
from services.task.domain.conversation import ReplyUpdated, TurnClosed, TurnStarted
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Failure, TaskState, refused
from services.task.domain.usage import Budget, Grouping, Period, Position, UsageFilter
from services.task.jobs import Jobs
from services.task.journal.audit import SqlAuditLog
from services.task.journal.database import Database, Transaction, Work
from services.task.journal.journal import sql_journal
from services.task.journal.rows import Row, SqlValue, places, task_to_row, to_micros
from services.task.journal.webhooks import SqlWebhooks
from services.task.ports.journal import Journal
from services.task.ports.replicas import Replica
from services.task.ports.search import TaskFilter
from services.task.postgres.database import opened as postgres_opened
from services.task.postgres.news import Sender
from services.task.sqlite.database import opened as sqlite_opened
from services.task.webhooks.ports import WebhookStore
from services.task.webhooks.webhook import Failed, StoredKey, Webhook
from tests.support.journal import (
    GRACE,
    NOW,
    UNLIMITED,
    client,
    end,
    event,
    put_on_air,
    request,
    task,
)
from tests.support.task import ManualClock

T = TypeVar("T")

TASKS = 20_000
"""All of them over, each with an event, a turn and a request."""
FAILURE = Failure(reason=Reason.CLOUD_NO_CAPACITY, message="The cloud is full.")


class RecordingTransaction:
    """Passes statements on, and notes them."""

    def __init__(self, transaction: Transaction, seen: dict[str, Sequence[SqlValue]]) -> None:
        self._transaction = transaction
        self._seen = seen

    async def fetch(self, sql: str, *parameters: SqlValue) -> Sequence[Row]:
        """Return all rows."""
        self._seen[sql] = parameters
        return await self._transaction.fetch(sql, *parameters)

    async def fetch_one(self, sql: str, *parameters: SqlValue) -> Row | None:
        """Return the first row."""
        self._seen[sql] = parameters
        return await self._transaction.fetch_one(sql, *parameters)

    async def fetch_for_update(self, sql: str, *parameters: SqlValue) -> Sequence[Row]:
        """Return all rows, locked."""
        self._seen[sql] = parameters
        return await self._transaction.fetch_for_update(sql, *parameters)

    async def fetch_unlocked(self, sql: str, *parameters: SqlValue) -> Sequence[Row]:
        """Return the rows that nobody has locked."""
        self._seen[sql] = parameters
        return await self._transaction.fetch_unlocked(sql, *parameters)

    async def execute(self, sql: str, *parameters: SqlValue) -> None:
        """Run a statement."""
        self._seen[sql] = parameters
        await self._transaction.execute(sql, *parameters)

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        """Run a statement for each row."""
        if values := list(rows):
            self._seen[sql] = values[0]
        await self._transaction.execute_many(sql, values)

    async def lock(self, name: str) -> None:
        """Hold a lock."""
        await self._transaction.lock(name)

    def announce(self, task_id: str) -> None:
        """Wake watchers."""
        self._transaction.announce(task_id)


class RecordingDatabase:
    """Passes transactions on, and notes their statements with parameters."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.seen: dict[str, Sequence[SqlValue]] = {}

    async def transact(self, work: Work[T]) -> T:
        """Run a transaction."""
        return await self._database.transact(partial(self._recorded, work))

    async def read(self, work: Work[T]) -> T:
        """Run a transaction that only reads."""
        return await self._database.read(partial(self._recorded, work))

    async def purge(self) -> None:
        """Leave no copy of what was deleted."""
        await self._database.purge()

    async def _recorded(self, work: Work[T], transaction: Transaction) -> T:
        return await work(RecordingTransaction(transaction, self.seen))


USED = ProviderTotals(currency="USD", input_tokens=1)
NUMBERS = (
    "WITH RECURSIVE numbers (number) AS"
    f" (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {TASKS})"
)
ONE = task_to_row(task(0, state=TaskState.STOPPED))


async def fill(transaction: Transaction) -> None:
    """Write what many tasks leave behind."""
    await transaction.execute(
        f"INSERT INTO tasks ({', '.join(ONE)}) VALUES ({places(ONE)})", *ONE.values()
    )
    numbered = {
        "task_id": "'task_' || number",
        "stream_id": "'stream-' || number",
        "user_id": "'u' || (number % 50)",
        "create_time": f"{to_micros(NOW)} - number * CAST({24 * 3600 * 1_000_000 // 50} AS BIGINT)",
    }
    columns = (numbered.get(column, column) for column in ONE)
    for insert in (
        f"tasks ({', '.join(ONE)}) {NUMBERS} SELECT {', '.join(columns)} FROM tasks, numbers",
        "events (task_id, sequence, time, conversation_sequence, content)"
        f" {NUMBERS} SELECT 'task_' || number, 1, 1, 1, '' FROM numbers",
        "turns (task_id, turn_id, start_time, finish_time)"
        f" {NUMBERS} SELECT 'task_' || number, 1, 1, 1 FROM numbers",
        "requests (request_id, digest, task_id, time)"
        f" {NUMBERS} SELECT 'r' || number, '', 'task_' || number, {2**60} FROM numbers",
        f"call_facts (task_id, facts) {NUMBERS} SELECT 'task_' || number, 'facts' FROM numbers",
        "usage_days (user_id, day, tasks, turns, billable_seconds)"
        f" {NUMBERS} SELECT 'u' || (number % 50), number / 50, 1, 1, 1 FROM numbers",
        "tenant_usage_days (tenant_id, user_id, day, tasks, turns, billable_seconds)"
        f" {NUMBERS} SELECT 'acme', 'u' || (number % 50), number / 50, 1, 1, 1 FROM numbers",
        "provider_usage (task_id, user_id, day, currency, input_tokens, cached_tokens,"
        " output_tokens, estimated_tokens, characters, recognized_ms, cost_micros)"
        f" {NUMBERS} SELECT 'task_' || number, 'u' || (number % 50), number / 50, 'USD',"
        " 1, 1, 1, 1, 1, 1, 1 FROM numbers",
        "webhooks (webhook_id, tenant_id, url, description, event_types, create_time)"
        f" {NUMBERS} SELECT 'w' || number, 't' || number, '', '', '', 1 FROM numbers",
        "webhook_keys (key_id, webhook_id, secret, create_time)"
        f" {NUMBERS} SELECT 'k' || number, 'w' || number, '', 1 FROM numbers",
        "webhook_deliveries (webhook_id, event_id, event_type, lane, task_id, sequence, content,"
        " time, next_time, give_up_time, is_dead)"
        f" {NUMBERS} SELECT 'w' || (number % 100), 'e' || number, 'task.ended', 'task_' || number,"
        f" 'task_' || number, 1, '', 1, {2**52}, {2**52}, number % 2 FROM numbers",
        "quota_warnings (tenant_id, kind, user_id, renew_time)"
        f" {NUMBERS} SELECT 'default', 'k', 'u' || number, {2**60} FROM numbers",
        "audit (tenant_id, time, actor, user_id, action, subject, request_id)"
        f" {NUMBERS} SELECT 't' || (number % 100), {2**52}, '', '', '', '', '' FROM numbers",
    ):
        await transaction.execute(f"INSERT INTO {insert}")


async def analyze(transaction: Transaction) -> None:
    """Have the database count what it has."""
    await transaction.execute("ANALYZE")


async def use(journal: Journal) -> None:
    """Call every method of a journal, in each of its ways."""
    first, second, third = (TASKS + number for number in range(3))
    user = {"user_id": "u1"}
    known = (await journal.tasks.add(task(first, **user), request("first"), UNLIMITED)).task_id
    await journal.tasks.add(task(second, **user), request("first"), UNLIMITED)
    await journal.tasks.find_created(request("first"))
    await put_on_air(journal, known)
    other = (await journal.tasks.add(task(third), None, UNLIMITED)).task_id
    await journal.tasks.change(other, partial(refused, failure=FAILURE, at=NOW), request("other"))
    await journal.tasks.get(known)
    await journal.tasks.get_with_facts(known)
    await journal.tasks.change_facts(known, lambda facts: b"news")
    await journal.search.live()
    await journal.search.of_stream("room", f"stream-{first}", since=NOW)
    await journal.tasks.is_repeatable(known)
    await journal.search.of_avatar(f"avatar of {known}")
    for wanted in (
        TaskFilter(),
        TaskFilter(states=(TaskState.STREAMING,)),
        TaskFilter(states=(TaskState.STREAMING, TaskState.STARTING)),
        TaskFilter(states=(TaskState.STOPPED,)),
        TaskFilter(user_id="u1"),
        TaskFilter(user_id="u1", states=(TaskState.STREAMING,)),
        TaskFilter(is_of_every_tenant=True),
        TaskFilter(is_of_every_tenant=True, states=(TaskState.STREAMING, TaskState.STARTING)),
        TaskFilter(is_of_every_tenant=True, user_id="u1"),
    ):
        for before in ("", known):
            await journal.search.page(wanted, before=before, size=50)
    await journal.logs.snapshot(known)
    await journal.logs.events_after(known, 0, limit=200)
    said = [
        event(1, 1, TurnStarted(origin=1, user_text="Hello.", language_code="en")),
        event(2, 1, ReplyUpdated(delta="Hi.")),
        event(3, 1, TurnClosed(reply_text="Hi.", heard_text="Hi.", providers=(USED,))),
    ]
    await asyncio.gather(
        *(journal.conversations.append(each, said, closing_grace=GRACE) for each in (known, other)),
        return_exceptions=True,
    )
    await journal.conversations.read(known, after_turn_id=0, after_sequence=0)
    await journal.conversations.turn(known, 1)
    await journal.conversations.last_turn_time(known)
    await journal.conversations.abandoned_turns(ended_before=NOW, limit=100)
    await use_leases(journal, known)
    await use_usage(journal)
    await end(journal, known)
    await journal.conversations.append(known, [event(4), event(4)], closing_grace=GRACE)
    await journal.erasure.erase(known)
    await journal.erasure.erase_ended(before=NOW + timedelta(days=1))
    await journal.erasure.remove_ended(before=NOW + timedelta(days=1))
    await journal.tasks.forget_requests()


async def use_usage(journal: Journal) -> None:
    """Call every method of a journal that is about costs and absent clients."""
    limited = replace(
        UNLIMITED,
        budget=Budget(user_seconds=3600, period=Period.DAY),
        tenants=Tenants(default=TenantQuota(live_tasks=1_000, minutes_per_day=1_000_000)),
    )
    watched = task(TASKS + 3, user_id="u2", max_absence=timedelta(minutes=1), seen_time=NOW)
    await journal.tasks.add(watched, None, limited)
    await put_on_air(journal, watched.task_id)
    await journal.clients.note_seen({client(watched.task_id): NOW + timedelta(minutes=1)})
    await journal.clients.absent(noted_since=NOW)
    window = Period.MONTH.around(NOW)
    await journal.usage.overspent(Budget(user_seconds=0, period=Period.MONTH), window)
    await journal.usage.spending(("default", "acme"), Period.DAY.around(NOW))
    for grouping in Grouping:
        for user_id in ("", "u1"):
            wanted = UsageFilter(window=window, grouping=grouping, user_id=user_id)
            for after in (None, Position(time=window.start, key="")):
                await journal.usage.report(wanted, after=after, size=2)


async def use_webhooks(webhooks: WebhookStore, journal: Journal) -> None:
    """Call every method of a store of webhooks."""
    webhook = Webhook(webhook_id="own", tenant_id="default", url="", create_time=NOW)
    keys = [StoredKey(key_id=name, secret=b"", create_time=NOW) for name in ("one", "other")]
    done = deed(Action.WEBHOOK_ADDED, "own")
    await webhooks.add(webhook, keys[0], done)
    await webhooks.add_key("default", "own", keys[1], until=NOW, deed=done)
    await webhooks.of_tenant("default")
    known = (await journal.tasks.add(task(TASKS + 4), None, UNLIMITED)).task_id
    await put_on_air(journal, known)
    await end(journal, known)
    assert await webhooks.due("replica") == ["own"]
    _, [first] = await webhooks.take("own", "replica", limit=10) or (None, [])
    failed = Failed(delivery=first, failure="it failed", pause=timedelta(days=2))
    assert await webhooks.settle("replica", delivered=[], failed=[failed]) == [failed]
    _, [second] = await webhooks.take("own", "replica", limit=10) or (None, [])
    postponed = Failed(delivery=second, failure="it failed", pause=timedelta(0))
    await webhooks.settle("replica", delivered=[], failed=[postponed])
    for after in (None, Position(time=NOW - timedelta(days=1), key="")):
        assert await webhooks.dead_letters("default", "own", after=after, size=2)
    await webhooks.replay("default", "own", [first.event_id], done)
    await webhooks.replay("default", "own", [], done)
    _, [first] = await webhooks.take("own", "replica", limit=10) or (None, [])
    await webhooks.settle("replica", delivered=[first], failed=[])
    await webhooks.clean()
    await webhooks.remove("default", "own", done)


async def use_audit(audit: AuditLog) -> None:
    """Call every method of an audit log."""
    await audit.note(Action.KEY_CREATED, "key")
    for before in (None, 10):
        await audit.page(AuditFilter(tenant_id="t1"), before=before, size=10)
    await audit.forget(before=NOW)


async def use_leases(journal: Journal, task_id: str) -> None:
    """Call every method of a journal that is about replicas."""
    for name in ("one", "other"):
        await journal.replicas.keep(Replica(replica_id=name, address=f"{name}:1"))
    lease = await journal.leases.take(task_id, "one")
    assert lease is not None
    assert await journal.leases.take(task_id, "other") is None
    await journal.leases.release(lease)
    await journal.leases.mark_due([task_id])
    assert await journal.leases.take_due("other", limit=10, busy=())
    assert await journal.replicas.lead("sweep", "one")
    epoch = await journal.conversations.claim(task_id, "one")
    with pytest.raises(ServiceError):
        await journal.conversations.claim(task_id, "other")
    with pytest.raises(ServiceError):
        await journal.conversations.append(
            task_id, [event(4)], closing_grace=GRACE, epoch=epoch + 1
        )
    await journal.conversations.release(task_id, epoch)
    await journal.replicas.forget("one")


@asynccontextmanager
async def open_(kind: str, folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    if kind == "sqlite":
        async with sqlite_opened(folder / "tasks.sqlite3", lambda _: None) as database:
            yield database
    else:
        url = request.getfixturevalue("postgres_url")
        async with postgres_opened(
            url, pool_size=2, sender=Sender(), on_change=lambda _: None
        ) as database:
            yield database


EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgres": "EXPLAIN"}
# An index of what runs, or is to be looked at, may be read as a whole; replicas are few, and so are
# the parts of a day's usage, and the users of whom some tasks are removed. Each webhook is looked
# at for what is due.
WHOLE_TABLE = {
    "sqlite": r"SCAN (?!\w+ USING .*INDEX (live_tasks|due_tasks|open_turns)"
    r"|replicas|duties|parts|removed|webhooks|CONSTANT)",
    "postgres": r"Seq Scan on (?!replicas|duties|webhooks )",
}


@pytest.mark.parametrize("kind", EXPLAIN)
async def test_no_statement_reads_a_whole_table(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, clock: ManualClock
) -> None:
    async def explain(sql: str, parameters: Sequence[SqlValue], transaction: Transaction) -> str:
        rows = await transaction.fetch(f"{EXPLAIN[kind]} {sql}", *parameters)
        return "\n".join(str(tuple(row)[-1]) for row in rows)

    async with open_(kind, tmp_path, request) as database, Jobs() as jobs:
        await database.transact(fill)
        await database.transact(analyze)
        recording = RecordingDatabase(database)
        journal = sql_journal(recording, clock, jobs)
        await use(journal)
        await use_webhooks(SqlWebhooks(recording), journal)
        await use_audit(SqlAuditLog(recording))
        assert len(recording.seen) > 30
        plans = {
            sql: await database.transact(partial(explain, sql, parameters))
            for sql, parameters in recording.seen.items()
        }
    whole = {sql: plan for sql, plan in plans.items() if re.search(WHOLE_TABLE[kind], plan)}
    assert not whole
