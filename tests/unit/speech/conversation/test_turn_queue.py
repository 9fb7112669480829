"""Turns wait by urgency, and a cut reply until it is known whether it is resumed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.conversation.caller import CallerSpeaker
from services.speech.conversation.event_log import Listener
from services.speech.conversation.reply import ReplyVoice
from services.speech.conversation.resumption import Resumption
from services.speech.conversation.turn_input import ResumedInput, WrittenInput
from services.speech.conversation.turn_queue import (
    REMEMBERED_REQUESTS,
    WAITING_TURNS,
    QueuedTurn,
    TurnQueue,
)
from services.speech.dialogue.generation import Generation
from services.speech.tools.calls import Calls, ReplyCalls
from tests.support.scripted_personas import scripted_personas
from tests.support.virtual_time import in_virtual_time


def turn(text: str = "Why?") -> QueuedTurn:
    """Return a turn that is to be held."""
    persona = scripted_personas().get("host")
    language = persona.speaking("en")
    return QueuedTurn(
        turn_input=WrittenInput(text=text, arrived_at=0),
        reply_voice=ReplyVoice(persona=persona, language=language, voice_id=language.voice_id),
        speaker=CallerSpeaker(Listener()),
    )


@in_virtual_time
async def test_urgent_turns_come_before_patient_ones() -> None:
    queue = TurnQueue()
    patient, urgent, later, first = turn(), turn(), turn(), turn()
    queue.add_patient(patient)
    queue.add_urgent(urgent)
    queue.add_urgent(later)
    queue.add_first(first)
    assert queue.urgent_count == 3
    assert [await queue.next() for _ in range(4)] == [first, urgent, later, patient]
    assert not len(queue)


@in_virtual_time
async def test_the_next_turn_is_waited_for() -> None:
    queue = TurnQueue()
    taking = asyncio.create_task(queue.next())
    await asyncio.sleep(1)
    assert not taking.done()
    asked = turn()
    queue.add_urgent(asked)
    assert await taking is asked


@in_virtual_time
async def test_a_request_is_admitted_once() -> None:
    queue = TurnQueue(("old",))
    assert not queue.admit("old")
    assert queue.admit("new")
    assert not queue.admit("new")
    assert queue.admit("")
    assert queue.admit("")
    for number in range(REMEMBERED_REQUESTS):
        queue.admit(str(number))
    assert queue.admit("new")


@in_virtual_time
async def test_only_so_many_turns_may_wait() -> None:
    queue = TurnQueue()
    for number in range(WAITING_TURNS):
        assert queue.admit(str(number))
        queue.add_urgent(turn())
    with pytest.raises(ServiceError) as refusal:
        queue.admit("one more")
    assert refusal.value.reason is Reason.RATE_LIMITED
    await queue.next()
    assert queue.admit("one more")


@in_virtual_time
async def test_only_patient_turns_are_dropped_and_only_urgent_ones_cut() -> None:
    queue = TurnQueue()
    patient, other, urgent = turn(), turn(), turn()
    queue.add_patient(patient)
    queue.add_patient(other)
    queue.add_urgent(urgent)
    queue.cut_urgent()
    assert [each.cut.done() for each in queue] == [True, False, False]
    assert queue.drop(patient)
    assert not queue.drop(patient)
    assert not queue.drop(urgent)
    queue.drop_patient()
    assert list(queue) == [urgent]
    assert [each.over.done() for each in (patient, other, urgent)] == [True, True, False]


class Model:
    """Writes until it is stopped."""

    def __init__(self) -> None:
        self.is_writing = False

    async def deltas(self) -> AsyncIterator[str]:
        self.is_writing = True
        try:
            while True:
                yield "word "
                await asyncio.sleep(1)
        finally:
            self.is_writing = False


async def left_unsaid(model: Model) -> ResumedInput:
    """Return the rest of a reply that is being generated."""
    generation = Generation(model.deltas(), ReplyCalls(Calls()))
    generation.begin()
    await asyncio.sleep(1)
    assert model.is_writing
    return ResumedInput(generation=generation, start=5, arrived_at=0)


@in_virtual_time
async def test_a_reply_is_resumed_when_its_turn_has_settled() -> None:
    resumption, yielded = Resumption(), turn()
    resumption.offer(yielded)
    taking = asyncio.create_task(resumption.take())
    rest = await left_unsaid(Model())
    assert not taking.done()
    resumption.keep(yielded, rest)
    yielded.over.set_result(None)
    resumed = await taking
    assert resumed is not None
    assert resumed.turn_input is rest
    assert resumed.reply_voice == yielded.reply_voice
    assert resumed.speaker is yielded.speaker
    assert await resumption.take() is None
    await rest.generation.close()


@in_virtual_time
async def test_a_reply_that_was_heard_to_its_end_is_not_resumed() -> None:
    resumption, yielded = Resumption(), turn()
    resumption.offer(yielded)
    yielded.over.set_result(None)
    assert await resumption.take() is None


@pytest.mark.parametrize("is_settled", [True, False])
@in_virtual_time
async def test_a_reply_that_is_given_up_is_generated_no_further(is_settled: bool) -> None:
    resumption, yielded, model = Resumption(), turn(), Model()
    resumption.offer(yielded)
    rest = await left_unsaid(model)
    if is_settled:
        resumption.keep(yielded, rest)
    taking = asyncio.create_task(resumption.take())
    await asyncio.sleep(1)
    resumption.give_up()
    if not is_settled:
        resumption.keep(yielded, rest)
    yielded.over.set_result(None)
    assert await taking is None
    await asyncio.sleep(1)
    assert not model.is_writing


@in_virtual_time
async def test_a_newer_reply_takes_the_place_of_an_older_one() -> None:
    resumption, older, newer = Resumption(), turn(), turn()
    models = Model(), Model()
    resumption.offer(older)
    resumption.keep(older, await left_unsaid(models[0]))
    resumption.offer(newer)
    rest = await left_unsaid(models[1])
    resumption.keep(newer, rest)
    newer.over.set_result(None)
    assert not resumption.withdraw(older)
    resumed = await resumption.take()
    assert resumed is not None
    assert resumed.turn_input is rest
    assert [model.is_writing for model in models] == [False, True]
    await rest.generation.close()


@in_virtual_time
async def test_only_the_reply_of_its_own_turn_is_withdrawn() -> None:
    resumption, yielded, model = Resumption(), turn(), Model()
    resumption.offer(yielded)
    resumption.keep(yielded, await left_unsaid(model))
    assert not resumption.withdraw(turn())
    assert resumption.withdraw(yielded)
    assert await resumption.take() is None
    await asyncio.sleep(1)
    assert not model.is_writing
