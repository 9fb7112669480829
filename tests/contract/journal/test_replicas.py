"""Several processes on one PostgreSQL database, and what may happen to that."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import ReplyUpdated, TaskEvent
from services.task.domain.tasks import StopReason, Task, stopping
from services.task.jobs import Jobs
from services.task.journal.journal import sql_journal
from services.task.ports.journal import Journal
from services.task.ports.logs import Snapshot
from services.task.ports.storage import Storage
from services.task.ports.tasks import Quota, Request
from services.task.postgres import news
from services.task.postgres.database import opened
from services.task.postgres.news import Sender
from services.task.postgres.storage import postgres_storage
from services.task.watch import watch
from tests.support.journal import GRACE, UNLIMITED, add, end, event, request, task
from tests.support.pooler import pooler
from tests.support.postgres import OwnServer, own_server
from tests.support.task import ManualClock

CALLS = 8
NEVER_S = 3600.0


@pytest.fixture
async def replicas(postgres_url: str, clock: ManualClock) -> AsyncIterator[tuple[Storage, Storage]]:
    async with (
        postgres_storage(postgres_url, clock) as one,
        postgres_storage(postgres_url, clock) as other,
    ):
        yield one, other


async def append(journal: Journal, task_id: str, sequence: int) -> int:
    return await journal.conversations.append(task_id, [event(sequence)], closing_grace=GRACE)


async def follow(storage: Storage, task_id: str, *, last: int) -> None:
    """Return once a watcher has been woken to read the log up to a sequence."""
    with storage.notifier.watching(task_id) as watch:
        while (await storage.journal.logs.snapshot(task_id)).last_sequence < last:
            await watch.wait()


async def grow_and_follow(writer: Journal, reader: Storage, known: Task) -> None:
    """Append three events, each once the one before has been seen."""
    for sequence in (1, 2, 3):
        seen = asyncio.create_task(follow(reader, known.task_id, last=1 + sequence))
        await append(writer, known.task_id, sequence)
        await seen


async def test_watchers_see_what_another_replica_writes(
    replicas: tuple[Storage, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "POLL_S", NEVER_S)
    one, other = replicas
    known = await add(one.journal, 1)
    await grow_and_follow(one.journal, other, known)


async def sequences(storage: Storage, task_id: str, started: asyncio.Semaphore) -> list[int]:
    """Return the sequences of all events that a watcher gets until the task is over."""
    got: list[int] = []
    async with aclosing(watch(storage.journal.logs, storage.notifier, task_id, 0)) as updates:
        async for update in updates:
            match update:
                case TaskEvent(sequence=sequence):
                    got.append(sequence)
                case Snapshot():
                    started.release()
    return got


async def test_every_watcher_gets_every_event_once(replicas: tuple[Storage, Storage]) -> None:
    known = [await add(replicas[0].journal, number) for number in range(4)]
    started = asyncio.Semaphore(0)
    watchers = [
        asyncio.create_task(sequences(replica, each.task_id, started))
        for each in known
        for replica in replicas
        for _ in range(5)
    ]
    for _ in watchers:
        await started.acquire()

    async def live(journal: Journal, task_id: str) -> None:
        for sequence in range(1, 21):
            await append(journal, task_id, sequence)
        await end(journal, task_id)

    await asyncio.gather(
        *(live(replicas[number % 2].journal, each.task_id) for number, each in enumerate(known))
    )
    # The task's three states are events, too.
    assert await asyncio.gather(*watchers) == [list(range(1, 24))] * len(watchers)


class Mute(Sender):
    """Sends nothing: its messages are lost."""

    async def send(self, connection: Any, task_ids: Collection[str]) -> None:
        """Do nothing."""


async def test_a_lost_message_is_made_up_for(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "POLL_S", 0.05)
    async with (
        postgres_storage(postgres_url, clock) as storage,
        opened(postgres_url, pool_size=2, sender=Mute(), on_change=lambda _: None) as database,
        Jobs() as jobs,
    ):
        mute = sql_journal(database, clock, jobs)
        await grow_and_follow(mute, storage, await add(mute, 1))


async def disconnect_listeners(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    await connection.close()


async def test_a_listener_that_lost_its_connection_makes_another(
    replicas: tuple[Storage, Storage], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "POLL_S", NEVER_S)
    monkeypatch.setattr(news, "RECONNECT_S", 0.01)
    one, other = replicas
    known = await add(one.journal, 1)
    await grow_and_follow(one.journal, other, known)
    await disconnect_listeners(postgres_url)
    another = await add(one.journal, 2)
    await grow_and_follow(one.journal, other, another)


async def test_one_request_makes_one_task(replicas: tuple[Storage, Storage]) -> None:
    added = await asyncio.gather(
        *(
            replica.journal.tasks.add(task(2 * number + index), request("r"), UNLIMITED)
            for number in range(CALLS)
            for index, replica in enumerate(replicas)
        )
    )
    assert added == [added[0]] * len(added)
    assert await replicas[0].journal.search.live() == [added[0]]


async def test_one_request_id_makes_a_task_or_stops_one(
    replicas: tuple[Storage, Storage],
) -> None:
    one, other = replicas
    known = [await add(one.journal, number) for number in range(CALLS)]
    change = partial(stopping, reason=StopReason.REQUESTED)
    for number, each in enumerate(known):
        outcomes = await asyncio.gather(
            one.journal.tasks.add(task(100 + number), request(f"r{number}", "add"), UNLIMITED),
            other.journal.tasks.change(each.task_id, change, request(f"r{number}", "stop")),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, ServiceError)]
        assert [each.reason for each in refused] == [Reason.REQUEST_ID_REUSED]


async def test_the_quota_is_exact(replicas: tuple[Storage, Storage]) -> None:
    quota = Quota(running=CALLS, running_per_user=3)
    outcomes = await asyncio.gather(
        *(
            replica.journal.tasks.add(task(2 * number + index, user_id="ann"), None, quota)
            for number in range(CALLS)
            for index, replica in enumerate(replicas)
        ),
        return_exceptions=True,
    )
    assert len(await replicas[1].journal.search.live()) == 3
    refused = [each.reason for each in outcomes if isinstance(each, ServiceError)]
    assert refused == [Reason.QUOTA_EXCEEDED] * (len(outcomes) - 3)


async def test_events_are_written_once_whoever_writes_them(
    replicas: tuple[Storage, Storage],
) -> None:
    tasks = [await add(replicas[0].journal, number) for number in range(4)]
    events = [event(number, 1, ReplyUpdated(delta=f"{number} ")) for number in range(1, 6)]
    last = await asyncio.gather(
        *(
            replica.journal.conversations.append(known.task_id, events, closing_grace=GRACE)
            for _ in range(CALLS)
            for known in tasks
            for replica in replicas
        )
    )
    assert set(last) == {5}
    for known in tasks:
        said = await replicas[1].journal.conversations.read(
            known.task_id, after_turn_id=0, after_sequence=0
        )
        assert said.events == tuple(each.payload for each in events)
        assert said.turns[0].reply_text == "1 2 3 4 5 "


async def test_what_the_database_cannot_store_is_replaced(
    replicas: tuple[Storage, Storage],
) -> None:
    journal = replicas[0].journal
    known = await add(journal, 1, user_id="a\0b")
    assert (await journal.tasks.get(known.task_id)).user_id == "a\N{REPLACEMENT CHARACTER}b"


@pytest.fixture(scope="module")
def crashing() -> Iterator[OwnServer]:
    """A server that loses nothing when its processes are killed."""
    with own_server(settings=("fsync=off",)) as own:
        yield own


@pytest.fixture
def url(crashing: OwnServer) -> Iterator[str]:
    """An empty database on that server."""
    with crashing.server.database() as database:
        yield database.url


async def kill_a_backend(own: OwnServer, url: str) -> None:
    """Kill one process of the server, which restarts all of them."""
    connection = await asyncpg.connect(url)
    pid = await connection.fetchval(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() LIMIT 1"
    )
    own.kill(pid)
    connection.terminate()


async def restart(own: OwnServer, url: str) -> None:
    """Crash the server, and start it again."""
    await asyncio.to_thread(own.stop)
    await asyncio.to_thread(own.start)


@pytest.mark.parametrize("crash", [kill_a_backend, restart])
async def test_a_crash_of_the_server_loses_nothing_and_passes(
    crashing: OwnServer, url: str, clock: ManualClock, crash: Any
) -> None:
    outcomes: list[Reason] = []

    async def talk(journal: Journal, known: Task) -> None:
        """Append events one by one, each until it is acknowledged."""
        for sequence in range(1, 200):
            while True:
                try:
                    assert await append(journal, known.task_id, sequence) == sequence
                    break
                except ServiceError as error:
                    outcomes.append(error.reason)
                    await asyncio.sleep(0.01)

    async with postgres_storage(url, clock) as one, postgres_storage(url, clock) as other:
        tasks = [await add(one.journal, number) for number in range(4)]
        async with asyncio.TaskGroup() as group:
            for number, known in enumerate(tasks):
                group.create_task(talk((one, other)[number % 2].journal, known))
            await follow(other, tasks[0].task_id, last=20)
            await crash(crashing, url)
        for known in tasks:
            said = await other.journal.conversations.read(
                known.task_id, after_turn_id=0, after_sequence=0
            )
            assert said.events == tuple(event(number).payload for number in range(1, 200))
        assert set(outcomes) <= {Reason.DEPENDENCY_UNAVAILABLE}
        assert await add(one.journal, 9) == task(9)


async def test_a_server_that_stays_away_is_told(
    crashing: OwnServer, url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.task.postgres.database.PATIENCE_S", 0.1)
    async with postgres_storage(url, clock) as storage:
        known = await add(storage.journal, 1)
        await asyncio.to_thread(crashing.stop)
        try:
            for call in (storage.journal.tasks.get(known.task_id), add(storage.journal, 2)):
                with pytest.raises(ServiceError) as refused:
                    await call
                assert refused.value.reason is Reason.DEPENDENCY_UNAVAILABLE
                assert refused.value.retry_after_s
        finally:
            await asyncio.to_thread(crashing.start)
        assert await storage.journal.tasks.get(known.task_id) == known


@asynccontextmanager
async def pooled(url: str, clock: ManualClock, folder: Path) -> AsyncIterator[Storage]:
    """Open a database through a pooler."""
    server_folder = urlsplit(url).query.removeprefix("host=")
    async with pooler(f"{server_folder}/.s.PGSQL.5432", f"{folder}/.s.PGSQL.5432") as through:
        pooled_url = url.replace(server_folder, str(folder))
        async with postgres_storage(pooled_url, clock, listen_url=url) as storage:
            yield storage
            assert through.transactions > CALLS


async def test_transactions_may_be_pooled(url: str, clock: ManualClock, tmp_path: Path) -> None:
    async def live(journal: Journal, number: int) -> None:
        wanted: Request = request(f"r{number}")
        known = await journal.tasks.add(task(number), wanted, UNLIMITED)
        assert await journal.tasks.add(task(100 + number), wanted, UNLIMITED) == known
        events = [event(each, 1, ReplyUpdated(delta="x")) for each in range(1, 120)]
        await journal.conversations.append(known.task_id, events, closing_grace=GRACE)
        said = await journal.conversations.read(known.task_id, after_turn_id=0, after_sequence=0)
        assert len(said.events) == 119
        with pytest.raises(ServiceError):
            await append(journal, known.task_id, 130)
        await journal.tasks.change(known.task_id, partial(stopping, reason=StopReason.REQUESTED))

    async with pooled(url, clock, tmp_path) as storage:
        await asyncio.gather(*(live(storage.journal, number) for number in range(CALLS)))
        await grow_and_follow(storage.journal, storage, await add(storage.journal, 50))
