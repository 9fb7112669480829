"""What was said is removed in small steps: what is left goes on to make sense."""

from datetime import timedelta
from functools import partial

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import TurnClosed, TurnStarted
from services.task.domain.tasks import StopReason, Task, stopping
from services.task.journal import erasure
from services.task.ports.journal import Journal
from tests.support.journal import (
    GRACE,
    NOW,
    UNLIMITED,
    add,
    end,
    event,
    put_on_air,
    request,
    task,
)

STARTED = TurnStarted(origin=1, user_text="My secret.", language_code="en")
CLOSED = TurnClosed(reply_text="I keep it.", heard_text="I keep it.")
LATER = NOW + timedelta(days=1)


async def talked(journal: Journal, number: int, *, turns: int = 2) -> Task:
    """Add a task that has ended, after so many turns."""
    made = await add(journal, number)
    await put_on_air(journal, made.task_id)
    said = [
        each
        for turn in range(1, turns + 1)
        for each in (event(2 * turn - 1, turn, STARTED), event(2 * turn, turn, CLOSED))
    ]
    for start in range(0, len(said), 1000):
        await journal.conversations.append(
            made.task_id, said[start : start + 1000], closing_grace=GRACE
        )
    return await end(journal, made.task_id)


async def erase(journal: Journal, task_id: str) -> int:
    """Erase a task; return the number of steps."""
    steps = 1
    while await journal.erasure.erase(task_id):
        steps += 1
    return steps


async def test_what_was_said_is_gone_and_the_task_is_not(journal: Journal) -> None:
    ended = await talked(journal, 1)
    other = await talked(journal, 2)
    await erase(journal, ended.task_id)
    conversation = await journal.conversations.read(
        ended.task_id, after_turn_id=0, after_sequence=0
    )
    assert (conversation.turns, conversation.events) == ((), ())
    with pytest.raises(ServiceError) as missing:
        await journal.conversations.turn(ended.task_id, 1)
    assert missing.value.reason is Reason.TURN_NOT_FOUND
    assert await journal.tasks.get(ended.task_id) == ended
    assert len(
        (await journal.conversations.read(other.task_id, after_turn_id=0, after_sequence=0)).turns
    )


async def test_what_was_known_of_the_call_goes_with_what_was_said(journal: Journal) -> None:
    first, second = [
        await journal.tasks.add(task(number), None, UNLIMITED, call_facts=f"{number}".encode())
        for number in (1, 2)
    ]
    await put_on_air(journal, first.task_id)
    await end(journal, first.task_id)
    assert (await journal.tasks.get_with_facts(first.task_id))[1] == b"1"
    await erase(journal, first.task_id)
    assert (await journal.tasks.get_with_facts(first.task_id))[1] == b""
    assert (await journal.tasks.get_with_facts(second.task_id))[1] == b"2"


async def test_whoever_has_read_some_of_it_reads_on(journal: Journal) -> None:
    ended = await talked(journal, 1)
    log, _ = await journal.logs.events_after(ended.task_id, 0, limit=100)
    last = (await journal.logs.snapshot(ended.task_id)).last_sequence
    await erase(journal, ended.task_id)
    assert (await journal.logs.snapshot(ended.task_id)).last_sequence == last
    states = [each for each in log if isinstance(each.content, Task)]
    for sequence in range(last + 1):
        events, is_over = await journal.logs.events_after(ended.task_id, sequence, limit=100)
        assert events == [each for each in states if each.sequence > sequence]
        assert is_over
    said = await journal.conversations.read(ended.task_id, after_turn_id=0, after_sequence=4)
    assert said.last_sequence == 4


async def test_nothing_can_be_said_after_that(journal: Journal) -> None:
    ended = await talked(journal, 1)
    late = event(5, 3, STARTED)
    await journal.erasure.erase(ended.task_id)
    with pytest.raises(ServiceError) as refused:
        await journal.conversations.append(ended.task_id, [late], closing_grace=GRACE)
    assert refused.value.reason is Reason.TASK_ENDED


async def test_a_task_must_have_ended(journal: Journal) -> None:
    live = await add(journal, 1)
    with pytest.raises(ServiceError) as refused:
        await journal.erasure.erase(live.task_id)
    assert refused.value.reason is Reason.TASK_NOT_ENDED
    with pytest.raises(ServiceError) as refused:
        await journal.erasure.erase("task_unknown")
    assert refused.value.reason is Reason.TASK_NOT_FOUND


async def test_a_long_conversation_goes_in_steps(journal: Journal) -> None:
    ended = await talked(journal, 1, turns=erasure.ROWS)
    # Twice as many events, and the turns.
    assert await erase(journal, ended.task_id) == 4
    assert await erase(journal, ended.task_id) == 1


async def test_only_tasks_that_ended_long_ago_are_erased_and_removed(journal: Journal) -> None:
    old = await talked(journal, 1)
    young = await add(journal, 2)
    await end(journal, young.task_id, at=LATER)
    live = await add(journal, 3)
    assert not await journal.erasure.erase_ended(before=LATER)
    assert not (
        await journal.conversations.read(old.task_id, after_turn_id=0, after_sequence=None)
    ).turns
    assert await journal.tasks.get(old.task_id) == old
    assert not await journal.erasure.remove_ended(before=LATER)
    with pytest.raises(ServiceError) as missing:
        await journal.tasks.get(old.task_id)
    assert missing.value.reason is Reason.TASK_NOT_FOUND
    for each in (young, live):
        await journal.tasks.get(each.task_id)


async def test_a_task_is_not_removed_before_what_was_said_in_it(journal: Journal) -> None:
    ended = await talked(journal, 1)
    assert not await journal.erasure.remove_ended(before=LATER)
    assert await journal.tasks.get(ended.task_id) == ended


async def test_a_step_erases_many_small_tasks_but_no_more_rows_than_it_may(
    journal: Journal,
) -> None:
    for number in range(4):
        await talked(journal, number, turns=erasure.ROWS // 6)
    assert await journal.erasure.erase_ended(before=LATER), "half of the rows of each is not all"
    steps = 1
    while await journal.erasure.erase_ended(before=LATER):
        steps += 1
    assert steps < 4


async def test_removed_tasks_take_their_requests_with_them(journal: Journal) -> None:
    ended = await talked(journal, 1)
    stop = partial(stopping, reason=StopReason.REQUESTED)
    await journal.tasks.change(ended.task_id, stop, request("again"))
    await erase(journal, ended.task_id)
    await journal.erasure.remove_ended(before=LATER)
    assert not await journal.tasks.is_repeatable(ended.task_id)
