"""The log of a task: changes of state and conversation events, in one sequence."""

import pytest

from services.task.domain.conversation import TaskEvent
from services.task.domain.tasks import Task, TaskState, claimed
from services.task.ports.journal import Journal
from services.task.ports.logs import Snapshot
from tests.support.journal import GRACE, NOW, add, end, event, put_on_air, task
from tests.support.task import ManualClock

ALL = 100


async def test_every_change_of_state_becomes_an_event(journal: Journal) -> None:
    added = await add(journal, 1)
    on_air = await put_on_air(journal, added.task_id)
    over = await end(journal, added.task_id)
    events, is_over = await journal.logs.events_after(added.task_id, 0, limit=ALL)
    contents = [each.content for each in events]
    assert [each.state for each in contents if isinstance(each, Task)] == [
        TaskState.CREATING,
        TaskState.STARTING,
        TaskState.STREAMING,
        TaskState.STOPPING,
        TaskState.STOPPED,
    ]
    assert (contents[0], contents[2], contents[-1]) == (added, on_air, over)
    assert [each.sequence for each in events] == [1, 2, 3, 4, 5]
    assert is_over


async def test_another_change_becomes_none(journal: Journal) -> None:
    added = await add(journal, 1, claim_by=NOW)
    await journal.tasks.change(added.task_id, claimed)
    snapshot = await journal.logs.snapshot(added.task_id)
    assert (snapshot.task.claim_by, snapshot.last_sequence) == (None, 1)


async def test_an_event_has_the_time_when_it_was_recorded(
    journal: Journal, clock: ManualClock
) -> None:
    clock.advance(5)
    before = clock()
    added = await add(journal, 1)
    events, _ = await journal.logs.events_after(added.task_id, 0, limit=ALL)
    assert before < events[0].time < clock()


async def test_conversation_events_take_their_place_in_the_log(journal: Journal) -> None:
    task_id = (await add(journal, 1)).task_id
    spoken = [event(1), event(2), event(3)]
    await journal.conversations.append(task_id, spoken[:2], closing_grace=GRACE)
    on_air = await put_on_air(journal, task_id)
    await journal.conversations.append(task_id, spoken, closing_grace=GRACE)
    events, _ = await journal.logs.events_after(task_id, 0, limit=ALL)
    contents = [each.content for each in events]
    assert contents[1:3] == [spoken[0].payload, spoken[1].payload]
    assert contents[-2:] == [on_air, spoken[2].payload]
    assert [each.sequence for each in events] == list(range(1, 7))
    assert await journal.logs.snapshot(task_id) == Snapshot(task=on_air, last_sequence=6)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
async def test_a_log_is_read_in_pieces_to_its_end(journal: Journal, limit: int) -> None:
    task_id = (await add(journal, 1)).task_id
    await put_on_air(journal, task_id)
    await end(journal, task_id)
    whole, _ = await journal.logs.events_after(task_id, 0, limit=ALL)
    read: list[TaskEvent] = []
    is_over = False
    while not is_over:
        sequence = read[-1].sequence if read else 0
        events, is_over = await journal.logs.events_after(task_id, sequence, limit=limit)
        assert len(events) <= limit
        read += events
    assert read == list(whole)


async def test_a_live_task_may_always_go_on(journal: Journal) -> None:
    task_id = (await add(journal, 1)).task_id
    assert await journal.logs.events_after(task_id, 1, limit=ALL) == ([], False)
    await end(journal, task_id)
    events, is_over = await journal.logs.events_after(task_id, 1, limit=ALL)
    assert ([each.sequence for each in events], is_over) == ([2, 3], True)
    assert await journal.logs.events_after(task_id, 3, limit=ALL) == ([], True)


async def test_each_task_has_a_log_of_its_own(journal: Journal) -> None:
    first, second = await add(journal, 1), await add(journal, 2)
    await journal.conversations.append(first.task_id, [event(1), event(2)], closing_grace=GRACE)
    events, _ = await journal.logs.events_after(second.task_id, 0, limit=ALL)
    assert [each.content for each in events] == [task(2)]
    assert (await journal.logs.snapshot(second.task_id)).last_sequence == 1
