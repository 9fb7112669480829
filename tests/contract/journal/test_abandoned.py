"""Turns that nobody will close, as their task has ended and their process is gone."""

from datetime import timedelta

import pytest

from digitalhuman.conversation.v1 import conversation_pb2
from services.runtime.failures.errors import from_status
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import ReplyUpdated, TurnClosed, TurnStarted
from services.task.ports.conversations import CLOSING_GRACE
from services.task.ports.journal import Journal
from services.task.ports.replicas import Replica
from services.task.reconciliation.abandoned import close_abandoned_turns
from tests.support.journal import GRACE, NOW, ExpireLeases, add, end, event, put_on_air
from tests.support.task import ManualClock

ONE = Replica(replica_id="one", address="10.0.0.1:50052")
STARTED = TurnStarted(origin=1, user_text="Hello.", language_code="en")


@pytest.fixture
async def task_id(journal: Journal) -> str:
    """A task in which a first turn is over and a second one runs."""
    created = (await add(journal, 1)).task_id
    await put_on_air(journal, created)
    said = [
        event(1, 1, STARTED),
        event(2, 1, TurnClosed(reply_text="Hi.", heard_text="Hi.")),
        event(3, 2, STARTED),
        event(4, 2, ReplyUpdated(delta="We open ")),
        event(5, 2, ReplyUpdated(delta="at nine.")),
    ]
    await journal.conversations.append(created, said, closing_grace=GRACE)
    return created


async def is_closed(journal: Journal, clock: ManualClock, task_id: str) -> bool:
    """Whether the second turn is over after a sweep."""
    await close_abandoned_turns(journal.conversations, clock)
    held = await journal.conversations.read(task_id, after_turn_id=1, after_sequence=None)
    return held.turns[0].finish_time is not None


async def test_a_turn_that_ran_to_the_end_of_its_task_is_closed(
    journal: Journal, task_id: str, clock: ManualClock
) -> None:
    assert not await is_closed(journal, clock, task_id)
    ended = await end(journal, task_id, at=clock())
    assert ended.stop_time is not None
    clock.advance(CLOSING_GRACE.total_seconds() - 1)
    assert not await is_closed(journal, clock, task_id)
    clock.advance(2)
    assert await is_closed(journal, clock, task_id)

    held = await journal.conversations.read(task_id, after_turn_id=0, after_sequence=5)
    first, second = held.turns
    assert (first.heard_text, second.reply_text, second.heard_text) == (
        "Hi.",
        "We open at nine.",
        "",
    )
    assert second.finish_time == ended.stop_time
    [closing] = [conversation_pb2.ConversationEvent.FromString(each) for each in held.events]
    assert (closing.sequence, closing.turn_id) == (6, 2)
    error = from_status(closing.turn_failed.status)
    assert error is not None
    assert error.reason is Reason.TURN_ABANDONED

    # Once is enough.
    await close_abandoned_turns(journal.conversations, clock)
    assert (
        await journal.conversations.read(task_id, after_turn_id=0, after_sequence=None)
    ).last_sequence == 6


async def test_it_is_closed_at_once_when_its_owner_is_gone(
    journal: Journal, task_id: str, clock: ManualClock, expire_leases: ExpireLeases
) -> None:
    await journal.replicas.keep(ONE)
    await journal.conversations.claim(task_id, ONE.replica_id)
    await end(journal, task_id, at=clock())
    assert not await is_closed(journal, clock, task_id)
    await expire_leases()
    assert await is_closed(journal, clock, task_id)


async def test_the_turns_of_a_task_that_runs_are_its_owner_s(
    journal: Journal, task_id: str, clock: ManualClock, expire_leases: ExpireLeases
) -> None:
    await journal.replicas.keep(ONE)
    await journal.conversations.claim(task_id, ONE.replica_id)
    await expire_leases()
    clock.advance(timedelta(hours=1).total_seconds())
    assert not await is_closed(journal, clock, task_id)
    assert (
        await journal.conversations.abandoned_turns(ended_before=NOW + timedelta(days=1), limit=10)
        == []
    )
