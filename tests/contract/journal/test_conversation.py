"""Conversations: events appended once and in order, and the turns that they make up."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import (
    PAGE_BYTES,
    Conversation,
    ConversationEvent,
    RecordedTurn,
    ReplyUpdated,
    Turn,
    TurnClosed,
    TurnStarted,
)
from services.task.ports.journal import Journal
from tests.support.journal import GRACE, NOW, add, end, event, put_on_air
from tests.support.task import ManualClock

STARTED = TurnStarted(origin=1, user_text="What is it?", language_code="en")
CLOSED = TurnClosed(
    reply_text="It is a clock.",
    heard_text="It is",
    is_interrupted=True,
    ledger=b"ledger",
    latency=b"latency",
)
FAILED = TurnClosed(reply_text="It", heard_text="", failure=b"failure")
LATER = NOW + timedelta(seconds=1)
LAST = NOW + timedelta(seconds=2)


@pytest.fixture
async def task_id(journal: Journal) -> str:
    """A task on air."""
    task_id = (await add(journal, 1)).task_id
    await put_on_air(journal, task_id)
    return task_id


async def append(journal: Journal, task_id: str, *events: ConversationEvent) -> int:
    return await journal.conversations.append(task_id, events, closing_grace=GRACE)


async def read(journal: Journal, task_id: str) -> Conversation:
    """Return a conversation from its beginning."""
    return await journal.conversations.read(task_id, after_turn_id=0, after_sequence=0)


def payloads(events: Sequence[ConversationEvent]) -> tuple[bytes, ...]:
    return tuple(each.payload for each in events)


async def test_events_are_appended_in_order(journal: Journal, task_id: str) -> None:
    events = [event(1), event(2), event(3)]
    assert await append(journal, task_id, *events[:2]) == 2
    assert await append(journal, task_id, events[2]) == 3
    assert await append(journal, task_id) == 3
    assert await read(journal, task_id) == Conversation(
        turns=(), last_sequence=3, events=payloads(events), has_more=False
    )


async def test_events_already_recorded_are_skipped(journal: Journal, task_id: str) -> None:
    await append(journal, task_id, event(1, 1, STARTED), event(2, 1, ReplyUpdated(delta="It")))
    before = await read(journal, task_id)
    assert await append(journal, task_id, event(2, 1, ReplyUpdated(delta="no")), event(1)) == 2
    assert await read(journal, task_id) == before
    overlap = [event(2, 1, ReplyUpdated(delta="no")), event(3, 1, ReplyUpdated(delta=" is"))]
    assert await append(journal, task_id, *overlap) == 3
    assert (await read(journal, task_id)).turns[0].reply_text == "It is"


@pytest.mark.parametrize("sequences", [(3,), (2, 4), (1, 2, 3, 5), (9, 2)])
async def test_a_gap_is_refused_and_nothing_appended(
    journal: Journal, task_id: str, sequences: tuple[int, ...]
) -> None:
    await append(journal, task_id, event(1))
    with pytest.raises(ServiceError) as refused:
        await append(journal, task_id, *(event(each, 1, STARTED) for each in sequences))
    assert refused.value.reason is Reason.EVENTS_OUT_OF_ORDER
    conversation = await read(journal, task_id)
    assert (conversation.last_sequence, conversation.turns) == (1, ())


async def test_the_refusal_of_a_gap_names_the_last_sequence(journal: Journal, task_id: str) -> None:
    await append(journal, task_id, event(1), event(2))
    with pytest.raises(ServiceError) as refused:
        await append(journal, task_id, event(4))
    assert refused.value.metadata == {"last_sequence": "2"}


async def test_turns_follow_from_the_events(journal: Journal, task_id: str) -> None:
    await append(
        journal,
        task_id,
        event(1),
        event(2, 1),
        event(3, 1, STARTED),
        event(4, 1, ReplyUpdated(delta="It ")),
        event(5, 2, STARTED, time=LATER),
        event(6, 1, ReplyUpdated(delta="was")),
        event(7, 2, ReplyUpdated(delta="It")),
        event(8, 1, CLOSED, time=LAST),
        event(9, 3, FAILED, time=LAST),
    )
    finished, running, failed = (await read(journal, task_id)).turns
    assert finished == Turn(
        turn_id=1,
        origin=1,
        user_text="What is it?",
        reply_text="It is a clock.",
        heard_text="It is",
        is_interrupted=True,
        language_code="en",
        start_time=NOW,
        finish_time=LAST,
        failure=b"",
        ledger=b"ledger",
        latency=b"latency",
    )
    assert (running.turn_id, running.reply_text) == (2, "It")
    assert (running.start_time, running.finish_time) == (LATER, None)
    assert (failed.turn_id, failed.failure, failed.user_text) == (3, b"failure", "")
    assert failed.start_time == failed.finish_time == LAST


async def test_an_event_without_a_turn_makes_none(journal: Journal, task_id: str) -> None:
    await append(journal, task_id, event(1, 0, STARTED), event(2, 1, None))
    conversation = await read(journal, task_id)
    assert (conversation.turns, conversation.last_sequence) == ((), 2)


async def test_recording_a_conversation_claims_its_task(journal: Journal) -> None:
    task_id = (await add(journal, 1, claim_by=NOW)).task_id
    await append(journal, task_id, event(1))
    assert (await journal.tasks.get(task_id)).claim_by is None


async def test_a_turn_that_was_running_may_be_closed_after_the_end(
    journal: Journal, task_id: str, clock: ManualClock
) -> None:
    await append(journal, task_id, event(1, 1, STARTED))
    await end(journal, task_id, at=clock())
    clock.advance(GRACE.total_seconds() - 1)
    closing = [
        event(2, 1, ReplyUpdated(delta="It"), time=clock()),
        event(3, 1, FAILED, time=clock()),
    ]
    assert await append(journal, task_id, *closing) == 3
    [turn] = (await read(journal, task_id)).turns
    assert turn.finish_time == closing[-1].time


async def test_what_happened_before_the_end_is_recorded_after_it(
    journal: Journal, task_id: str, clock: ManualClock
) -> None:
    before = clock()
    await end(journal, task_id, at=clock())
    assert await append(journal, task_id, event(1, 1, STARTED, time=before)) == 1


@pytest.mark.parametrize(("turn_id", "change"), [(0, None), (2, STARTED), (1, CLOSED), (2, FAILED)])
async def test_nothing_else_is_recorded_after_the_end(
    journal: Journal,
    task_id: str,
    clock: ManualClock,
    turn_id: int,
    change: TurnStarted | TurnClosed | None,
) -> None:
    await append(journal, task_id, event(1, 1, STARTED), event(2, 1, CLOSED))
    await end(journal, task_id, at=clock())
    late = event(3, turn_id, change, time=clock())
    with pytest.raises(ServiceError) as refused:
        await append(journal, task_id, late)
    assert refused.value.reason is Reason.TASK_ENDED
    assert (await read(journal, task_id)).last_sequence == 2


async def test_after_the_grace_only_repeated_events_are_accepted(
    journal: Journal, task_id: str, clock: ManualClock
) -> None:
    started = event(1, 1, STARTED)
    await append(journal, task_id, started)
    before = clock()
    await end(journal, task_id, at=clock())
    clock.advance(GRACE.total_seconds() + 1)
    for late in (event(2, 1, CLOSED, time=clock()), event(2, 1, CLOSED, time=before)):
        with pytest.raises(ServiceError) as refused:
            await append(journal, task_id, late)
        assert refused.value.reason is Reason.TASK_ENDED
    assert await append(journal, task_id, started) == 1


async def test_a_conversation_is_read_from_a_turn_and_an_event(
    journal: Journal, task_id: str
) -> None:
    events = [event(number, number, STARTED) for number in (1, 2, 3)]
    await append(journal, task_id, *events)
    rest = await journal.conversations.read(task_id, after_turn_id=1, after_sequence=2)
    assert [turn.turn_id for turn in rest.turns] == [2, 3]
    assert rest.events == payloads(events[2:])
    turns_alone = await journal.conversations.read(task_id, after_turn_id=0, after_sequence=None)
    assert [turn.turn_id for turn in turns_alone.turns] == [1, 2, 3]
    assert turns_alone.events == ()
    nothing = await journal.conversations.read(task_id, after_turn_id=3, after_sequence=3)
    assert nothing == Conversation(turns=(), last_sequence=3, events=(), has_more=False)


async def test_a_sequence_beyond_the_last_is_refused(journal: Journal, task_id: str) -> None:
    await append(journal, task_id, event(1))
    with pytest.raises(ServiceError) as refused:
        await journal.conversations.read(task_id, after_turn_id=0, after_sequence=2)
    assert refused.value.reason is Reason.SEQUENCE_OUT_OF_RANGE
    assert refused.value.metadata == {"last_sequence": "1"}


@pytest.mark.parametrize("size", [PAGE_BYTES // 5, PAGE_BYTES + 1])
async def test_a_long_conversation_comes_in_pages(
    journal: Journal, task_id: str, size: int
) -> None:
    for number in range(1, 8):
        reply = TurnClosed(reply_text="x" * size, heard_text="")
        await append(journal, task_id, event(number, number, reply))
    read_turns: list[Turn] = []
    read_events: list[bytes] = []
    has_more, pages = True, 0
    while has_more:
        page = await journal.conversations.read(
            task_id, after_turn_id=len(read_turns), after_sequence=len(read_events)
        )
        assert (
            len(page.turns) == 1 or sum(len(each.reply_text) for each in page.turns) <= PAGE_BYTES
        )
        read_turns += page.turns
        read_events += page.events
        has_more = page.has_more
        pages += 1
        assert pages <= 7
    assert [turn.turn_id for turn in read_turns] == list(range(1, 8))
    assert read_events == [f"payload {number}".encode() for number in range(1, 8)]
    assert pages == (7 if size > PAGE_BYTES else 2)


async def test_a_turn_comes_with_the_event_that_closed_it(journal: Journal, task_id: str) -> None:
    closing = event(2, 1, CLOSED)
    await append(journal, task_id, event(1, 1, STARTED), closing, event(3, 2, STARTED))
    closed, running = (await read(journal, task_id)).turns
    assert await journal.conversations.turn(task_id, 1) == RecordedTurn(
        turn=closed, closing=closing.payload
    )
    assert await journal.conversations.turn(task_id, 2) == RecordedTurn(turn=running, closing=b"")
    with pytest.raises(ServiceError) as refused:
        await journal.conversations.turn(task_id, 3)
    assert refused.value.reason is Reason.TURN_NOT_FOUND


async def test_the_time_of_the_last_turn(journal: Journal, task_id: str) -> None:
    assert await journal.conversations.last_turn_time(task_id) is None
    await append(journal, task_id, event(1, time=LAST))
    assert await journal.conversations.last_turn_time(task_id) is None
    await append(journal, task_id, event(2, 1, STARTED, time=NOW))
    assert await journal.conversations.last_turn_time(task_id) == NOW
    await append(journal, task_id, event(3, 1, CLOSED, time=LATER))
    assert await journal.conversations.last_turn_time(task_id) == LATER
    await append(journal, task_id, event(4, 2, STARTED, time=LAST))
    assert await journal.conversations.last_turn_time(task_id) == LAST


async def test_each_task_has_a_conversation_of_its_own(journal: Journal, task_id: str) -> None:
    other = (await add(journal, 2)).task_id
    await append(journal, task_id, event(1, 1, STARTED), event(2, 1, CLOSED))
    assert await append(journal, other, event(1, 1, ReplyUpdated(delta="It"))) == 1
    [turn] = (await read(journal, other)).turns
    assert (turn.reply_text, turn.finish_time) == ("It", None)
    assert len((await read(journal, task_id)).events) == 2
