"""Watchers of a task: what wakes them, and what they can then read."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import StopReason, Task, on_air, stopping
from services.task.ports.journal import Journal
from services.task.ports.logs import Notifier
from services.task.ports.search import TaskFilter
from services.task.ports.storage import Storage
from services.task.ports.tasks import Quota
from tests.support.journal import GRACE, NOW, add, event, task


async def stop(journal: Journal, known: Task) -> None:
    await journal.tasks.change(known.task_id, partial(stopping, reason=StopReason.REQUESTED))


async def append(journal: Journal, known: Task) -> None:
    await journal.conversations.append(known.task_id, [event(1)], closing_grace=GRACE)


@pytest.mark.parametrize("grow", [stop, append])
async def test_a_log_that_grows_wakes_its_watchers(
    storage: Storage, grow: Callable[[Journal, Task], Awaitable[None]]
) -> None:
    known = await add(storage.journal, 1)

    async def follow() -> int:
        with storage.notifier.watching(known.task_id) as watch:
            last = 1
            started.release()
            while last == 1:
                await watch.wait()
                last = (await storage.journal.logs.snapshot(known.task_id)).last_sequence
            return last

    started = asyncio.Semaphore(0)
    watchers = [asyncio.create_task(follow()) for _ in range(3)]
    for _ in watchers:
        await started.acquire()
    await grow(storage.journal, known)
    assert await asyncio.gather(*watchers) == [2, 2, 2]


async def test_a_task_may_be_watched_before_it_is_added(storage: Storage) -> None:
    with storage.notifier.watching(task(1).task_id) as watch:
        await add(storage.journal, 1)
        await watch.wait()
        assert await storage.journal.tasks.get(task(1).task_id) == task(1)


async def test_news_before_the_first_wait_is_not_lost(storage: Storage) -> None:
    known = await add(storage.journal, 1)
    with storage.notifier.watching(known.task_id) as watch:
        await append(storage.journal, known)
        await stop(storage.journal, known)
        await watch.wait()
        assert (await storage.journal.logs.snapshot(known.task_id)).last_sequence == 3


async def refuse_change(journal: Journal, known: Task) -> None:
    await journal.tasks.change(known.task_id, partial(on_air, at=NOW))


async def refuse_events(journal: Journal, known: Task) -> None:
    await journal.conversations.append(known.task_id, [event(2), event(4)], closing_grace=GRACE)


async def refuse_addition(journal: Journal, known: Task) -> None:
    await journal.tasks.add(task(1), None, Quota(running=0, running_per_user=0))


async def read(journal: Journal, known: Task) -> None:
    await journal.logs.snapshot(known.task_id)
    await journal.search.page(TaskFilter(), before="", size=1)


async def append_nothing(journal: Journal, known: Task) -> None:
    await journal.conversations.append(known.task_id, [], closing_grace=GRACE)


@pytest.mark.parametrize(
    "leave_alone", [refuse_change, refuse_events, refuse_addition, read, append_nothing]
)
async def test_a_log_that_did_not_grow_wakes_nobody(
    storage: Storage, leave_alone: Callable[[Journal, Task], Awaitable[None]]
) -> None:
    journal = storage.journal
    quiet = await add(journal, 1)
    with storage.notifier.watching(quiet.task_id) as watch:
        await append(journal, quiet)
        await until_all_is_told(storage, 2)
        await watch.wait()
        waiting = asyncio.create_task(watch.wait())
        await asyncio.gather(leave_alone(journal, quiet), return_exceptions=True)
        await until_all_is_told(storage, 3)
        assert not waiting.done()
        waiting.cancel()


async def until_all_is_told(storage: Storage, number: int) -> None:
    """Add a task: news arrives in the order of the transactions, so that it is told of last."""
    with storage.notifier.watching(task(number).task_id) as watch:
        await add(storage.journal, number)
        await watch.wait()


async def test_watchers_that_left_affect_nobody(storage: Storage) -> None:
    known = await add(storage.journal, 1)
    with storage.notifier.watching(known.task_id) as staying:
        with storage.notifier.watching(known.task_id):
            pass
        await append(storage.journal, known)
        await staying.wait()
    await stop(storage.journal, known)
    assert (await storage.journal.logs.snapshot(known.task_id)).last_sequence == 3


async def test_draining_sends_all_watchers_away(storage: Storage, notifier: Notifier) -> None:
    names = ["one", "one", "two"]
    started = asyncio.Semaphore(0)

    async def follow(name: str) -> None:
        with notifier.watching(name) as watch:
            started.release()
            await watch.wait()

    watchers = [asyncio.create_task(follow(name)) for name in names]
    for _ in names:
        await started.acquire()
    notifier.drain()
    for watcher in watchers:
        with pytest.raises(ServiceError) as refused:
            await watcher
        assert refused.value.reason is Reason.DRAINING
