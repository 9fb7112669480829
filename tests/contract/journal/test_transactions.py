"""Every method is one durable transaction: concurrent writers, cancelled callers, reopening."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import ReplyUpdated, TurnStarted
from services.task.domain.tasks import Task, TaskState
from services.task.ports.journal import Journal
from services.task.ports.search import TaskFilter
from services.task.ports.tasks import Quota
from tests.support.journal import (
    GRACE,
    UNLIMITED,
    OpenStorage,
    add,
    event,
    put_on_air,
    request,
    task,
)

WRITERS = 10


def delta(sequence: int) -> ReplyUpdated:
    return ReplyUpdated(delta=f"{sequence} ")


async def test_simultaneous_additions_with_one_request_make_one_task(journal: Journal) -> None:
    added = await asyncio.gather(
        *(journal.tasks.add(task(number), request("r"), UNLIMITED) for number in range(WRITERS))
    )
    assert await journal.search.live() == [added[0]]
    assert added == [added[0]] * WRITERS


async def test_simultaneous_additions_for_one_stream_make_one_task(journal: Journal) -> None:
    outcomes = await asyncio.gather(
        *(add(journal, number, stream_id="stream") for number in range(WRITERS)),
        return_exceptions=True,
    )
    assert await journal.search.live() == [each for each in outcomes if isinstance(each, Task)]
    refusals = [each.reason for each in outcomes if isinstance(each, ServiceError)]
    assert refusals == [Reason.STREAM_IN_USE] * (WRITERS - 1)


async def test_simultaneous_additions_keep_to_the_quota(journal: Journal) -> None:
    quota = Quota(running=WRITERS, running_per_user=3)
    outcomes = await asyncio.gather(
        *(journal.tasks.add(task(number, user_id="ann"), None, quota) for number in range(WRITERS)),
        return_exceptions=True,
    )
    assert len(await journal.search.live()) == 3
    refusals = [each.reason for each in outcomes if isinstance(each, ServiceError)]
    assert refusals == [Reason.QUOTA_EXCEEDED] * (WRITERS - 3)


async def test_simultaneous_changes_lose_none(journal: Journal) -> None:
    known = await add(journal, 1)

    def lengthen(current: Task) -> Task:
        return replace(current, max_duration=current.max_duration + timedelta(seconds=1))

    pairs = await asyncio.gather(
        *(journal.tasks.change(known.task_id, lengthen) for _ in range(WRITERS))
    )
    longer = replace(known, max_duration=known.max_duration + timedelta(seconds=WRITERS))
    assert await journal.tasks.get(known.task_id) == longer
    assert len({after.max_duration for _, after in pairs}) == WRITERS
    assert all(after == lengthen(before) for before, after in pairs)


async def test_simultaneous_appends_of_the_same_events_write_them_once(journal: Journal) -> None:
    task_id = (await add(journal, 1)).task_id
    events = [event(sequence, 1, delta(sequence)) for sequence in range(1, 6)]
    last = await asyncio.gather(
        *(
            journal.conversations.append(task_id, events, closing_grace=GRACE)
            for _ in range(WRITERS)
        )
    )
    assert last == [5] * WRITERS
    conversation = await journal.conversations.read(task_id, after_turn_id=0, after_sequence=0)
    assert conversation.events == tuple(each.payload for each in events)
    assert conversation.turns[0].reply_text == "1 2 3 4 5 "


async def test_simultaneous_events_and_changes_share_one_sequence(journal: Journal) -> None:
    task_id = (await add(journal, 1)).task_id

    async def talk() -> None:
        for sequence in range(1, 11):
            await journal.conversations.append(task_id, [event(sequence)], closing_grace=GRACE)

    await asyncio.gather(talk(), put_on_air(journal, task_id))
    events, _ = await journal.logs.events_after(task_id, 0, limit=100)
    assert [each.sequence for each in events] == list(range(1, 14))
    spoken = [each.content for each in events if isinstance(each.content, bytes)]
    assert spoken == [event(sequence).payload for sequence in range(1, 11)]


@pytest.mark.parametrize("steps", range(6))
async def test_a_cancelled_caller_has_written_all_or_nothing(journal: Journal, steps: int) -> None:
    task_id = (await add(journal, 1)).task_id
    events = [event(sequence, 1, delta(sequence)) for sequence in (1, 2, 3)]
    caller = asyncio.create_task(journal.conversations.append(task_id, events, closing_grace=GRACE))
    for _ in range(steps):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    conversation = await journal.conversations.read(task_id, after_turn_id=0, after_sequence=0)
    replies = [turn.reply_text for turn in conversation.turns]
    assert (conversation.last_sequence, replies) in [(0, []), (3, ["1 2 3 "])]
    assert await journal.conversations.append(task_id, events, closing_grace=GRACE) == 3


async def test_everything_survives_reopening(open_storage: OpenStorage) -> None:
    started = TurnStarted(origin=1, user_text="Hello.", language_code="en")
    async with open_storage() as storage:
        journal = storage.journal
        first = await journal.tasks.add(task(1), request("r"), UNLIMITED)
        on_air = await put_on_air(journal, first.task_id)
        await journal.conversations.append(
            first.task_id, [event(1, 1, started)], closing_grace=GRACE
        )
        log = await journal.logs.events_after(first.task_id, 0, limit=100)
        conversation = await journal.conversations.read(
            first.task_id, after_turn_id=0, after_sequence=0
        )
    async with open_storage() as storage:
        journal = storage.journal
        assert on_air.state is TaskState.STREAMING
        assert await journal.search.live() == [on_air]
        assert await journal.search.page(TaskFilter(), before="", size=10) == [on_air]
        assert await journal.tasks.find_created(request("r")) == on_air
        assert await journal.logs.events_after(first.task_id, 0, limit=100) == log
        assert conversation == await journal.conversations.read(
            first.task_id, after_turn_id=0, after_sequence=0
        )
        assert (
            await journal.conversations.append(first.task_id, [event(2)], closing_grace=GRACE) == 2
        )
