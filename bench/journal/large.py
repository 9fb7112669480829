"""Whether a large journal answers as quickly as an empty one.

`python -m bench.journal.large` fills a SQLite file, or an empty PostgreSQL by `--database`,
with conversations that have ended, and measures what the task service does before and after.
"""

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from services.runtime.callers.caller import Caller
from services.task.domain.conversation import ConversationEvent, TurnChange, TurnClosed, TurnStarted
from services.task.domain.tasks import (
    StopReason,
    Task,
    accepted,
    new_task_id,
    on_air,
    stopped,
    stopping,
)
from services.task.domain.usage import Budget, Grouping, Period, UsageFilter
from services.task.ports.clients import Client
from services.task.ports.journal import Journal
from services.task.ports.search import TaskFilter
from services.task.ports.storage import Storage
from services.task.ports.tasks import Quota
from services.task.postgres.storage import postgres_storage
from services.task.sqlite.storage import sqlite_storage

EVENTS_PER_TASK = 40
TURNS_PER_TASK = 10
EVENT_BYTES = 600
TASK_BYTES = EVENTS_PER_TASK * (EVENT_BYTES + 150) + TURNS_PER_TASK * 900
"""About what a task takes, with its indexes."""
ROUNDS = 200
USERS = 500
BUDGET = Budget(user_seconds=10**9, period=Period.MONTH)
QUOTA = Quota(running=10**9, running_per_user=10**9, budget=BUDGET)
NUMBERS = (
    "WITH RECURSIVE numbers (number) AS"
    " (SELECT {first} UNION ALL SELECT number + 1 FROM numbers WHERE number < {last})"
)
# How each database makes a number of bytes, and how it writes a number with leading zeros.
SQLITE = {"bytes": "randomblob({})", "padded": "printf('%026d', {})"}
POSTGRES = {
    "bytes": "decode(repeat(md5({}::text), 38), 'hex')",
    "padded": "lpad(({})::text, 26, '0')",
}


async def measure(journal: Journal) -> dict[str, dict[str, float]]:
    """Return how long each thing takes that the task service does with its journal, in ms."""
    tasks = [_task(number) for number in range(ROUNDS)]
    window = Period.MONTH.around(datetime.now(UTC))
    by_user = UsageFilter(window=window, grouping=Grouping.USER, user_id="user-1")
    client = Client(task_id=tasks[0].task_id, caller=Caller())
    steps: dict[str, Callable[[int], Awaitable[object]]] = {
        "create": lambda n: journal.tasks.add(tasks[n], None, QUOTA),
        "put on air": lambda n: _put_on_air(journal, tasks[n]),
        "append a turn": lambda n: journal.conversations.append(
            tasks[n].task_id, _turn(), closing_grace=timedelta(seconds=30)
        ),
        "snapshot": lambda n: journal.logs.snapshot(tasks[n].task_id),
        "watch": lambda n: journal.logs.events_after(tasks[n].task_id, 0, limit=200),
        "conversation": lambda n: journal.conversations.read(
            tasks[n].task_id, after_turn_id=0, after_sequence=0
        ),
        "list tasks": lambda n: journal.search.page(
            TaskFilter(user_id="user-1"), before="", size=50
        ),
        "live tasks": lambda n: journal.search.live(),
        "clients gone": lambda n: journal.clients.absent(noted_since=tasks[0].create_time),
        "note a client": lambda n: journal.clients.note_seen({client: datetime.now(UTC)}),
        "budgets": lambda n: journal.usage.overspent(BUDGET, window),
        "usage of a user": lambda n: journal.usage.report(by_user, after=None, size=100),
        "end": lambda n: _end(journal, tasks[n]),
        "erase": lambda n: journal.erasure.erase(tasks[n].task_id),
    }
    return {name: await _timed(step) for name, step in steps.items()}


async def _timed(step: Callable[[int], Awaitable[object]]) -> dict[str, float]:
    taken = []
    for number in range(ROUNDS):
        before = time.perf_counter()
        await step(number)
        taken.append((time.perf_counter() - before) * 1000)
    taken.sort()
    return {"p50": round(taken[ROUNDS // 2], 2), "p99": round(taken[int(ROUNDS * 0.99)], 2)}


def _task(number: int) -> Task:
    now = datetime.now(UTC)
    return Task(
        task_id=new_task_id(now),
        room_id="room",
        stream_id=f"live-{new_task_id(now)}",
        user_id=f"user-{number % USERS}",
        max_duration=timedelta(hours=1),
        max_idle_duration=timedelta(minutes=2),
        max_absence=timedelta(hours=1),
        create_time=now,
        seen_time=now,
    )


def _turn() -> Sequence[ConversationEvent]:
    started: TurnChange = TurnStarted(origin=1, user_text="What does it cost?", language_code="en")
    closed = TurnClosed(reply_text="Five dollars.", heard_text="Five dollars.")
    return [
        ConversationEvent(
            sequence=number,
            time=datetime.now(UTC),
            turn_id=1,
            change=change,
            payload=bytes(EVENT_BYTES),
        )
        for number, change in enumerate((started, closed), start=1)
    ]


async def _put_on_air(journal: Journal, task: Task) -> None:
    at = datetime.now(UTC)
    accept = partial(accepted, avatar_id="a" + task.task_id, digital_human_id="mia", at=at)
    await journal.tasks.change(task.task_id, accept)
    await journal.tasks.change(task.task_id, partial(on_air, at=at))


async def _end(journal: Journal, task: Task) -> None:
    await journal.tasks.change(task.task_id, partial(stopping, reason=StopReason.REQUESTED))
    await journal.tasks.change(task.task_id, partial(stopped, at=datetime.now(UTC)))


def statements(first: int, last: int, dialect: dict[str, str]) -> Sequence[str]:
    """Return what writes tasks that ended within the last year, with what was said in them."""
    numbers = NUMBERS.format(first=first, last=last)
    task_id = f"'task_' || {dialect['padded'].format('number')}"
    year = 365 * 86_400 * 1_000_000
    created = f"{int(time.time() * 1e6) - year} + number % 1000 * CAST({year // 1000} AS BIGINT)"
    events, turns = _parts(EVENTS_PER_TASK), _parts(TURNS_PER_TASK)
    content = dialect["bytes"].format(EVENT_BYTES if "random" in dialect["bytes"] else "number")
    text = "'" + "What does it cost, and for whom? " * 6 + "'"
    return (
        "INSERT INTO tasks (task_id, state, room_id, stream_id, digital_human_id, persona_id,"
        " language_code, user_id, background_color, avatar_id, max_duration, max_idle_duration,"
        f" create_time, accept_time, start_time, stop_time, stop_reason) {numbers}"
        f" SELECT {task_id}, 'STOPPED', 'room', 'stream-' || number, 'mia', 'host', 'en',"
        f" 'user-' || (number % {USERS}), '', 'avatar-' || number, 1800000000, 120000000,"
        f" {created}, {created}, {created}, {created} + 600000000, 'REQUESTED' FROM numbers",
        "INSERT INTO events (task_id, sequence, time, conversation_sequence, content)"
        f" {numbers} SELECT {task_id}, part, 1, part, {content}"
        f" FROM numbers, ({events}) AS parts",
        "INSERT INTO turns (task_id, turn_id, user_text, reply_text, heard_text, start_time,"
        f" finish_time) {numbers} SELECT {task_id}, part, {text}, {text}, {text}, 1, 2"
        f" FROM numbers, ({turns}) AS parts",
    )


def _parts(number: int) -> str:
    return " UNION ALL ".join(f"SELECT {part} AS part" for part in range(1, number + 1))


@asynccontextmanager
async def sqlite(path: Path) -> AsyncIterator[Storage]:
    """Open the journal in a file."""
    async with sqlite_storage(path, lambda: datetime.now(UTC)) as storage:
        yield storage


def fill_sqlite(path: Path, tasks: int) -> int:
    """Fill a file that nobody has open; return its size in bytes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for first in range(0, tasks, 2000):
            connection.execute("BEGIN")
            for sql in statements(first + 1, min(first + 2000, tasks), SQLITE):
                connection.execute(sql)
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


async def fill_postgres(url: str, tasks: int) -> int:
    """Fill a database; return its size in bytes."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        for first in range(0, tasks, 2000):
            for sql in statements(first + 1, min(first + 2000, tasks), POSTGRES):
                await connection.execute(sql)
        await connection.execute("VACUUM ANALYZE")
        size: int = await connection.fetchval("SELECT pg_database_size(current_database())")
        return size
    finally:
        await connection.close()


async def run(gigabytes: float, url: str | None) -> dict[str, Any]:
    """Return the figures of an empty and of a full journal."""
    tasks = int(gigabytes * 1e9 / TASK_BYTES)
    if url is not None:
        opened = partial(postgres_storage, url, lambda: datetime.now(UTC))
        async with opened() as storage:
            empty = await measure(storage.journal)
        size = await fill_postgres(url, tasks)
        async with opened() as storage:
            full = await measure(storage.journal)
        return {"database": "PostgreSQL", "bytes": size, "empty": empty, "full": full}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.sqlite3"
        async with sqlite(path) as storage:
            empty = await measure(storage.journal)
        size = fill_sqlite(path, tasks)
        async with sqlite(path) as storage:
            full = await measure(storage.journal)
    return {"database": "SQLite", "bytes": size, "empty": empty, "full": full}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal.large", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--database", help="URL of an empty PostgreSQL database")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(run(given.gigabytes, given.database)), indent=2))


if __name__ == "__main__":
    main()
