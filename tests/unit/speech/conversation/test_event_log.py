"""Events are numbered without gaps, and a listener that is too slow is sent away."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from services.runtime.clock import steady_time
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.conversation.event_log import (
    BEHIND_S,
    ROOM_S,
    WAITING_AUDIO,
    WAITING_ITEMS,
    EventLog,
    Item,
    Listener,
    ProducedAudio,
)
from services.speech.conversation.events import ReplyUpdated, ToolCalled
from services.speech.ports.chat import ToolCall
from tests.support.virtual_time import in_virtual_time

AUDIO = ProducedAudio(turn_id=1, pcm=b"\0\0")


class Recorder:
    """Keeps events in memory."""

    def __init__(self) -> None:
        self.events: list[pb.ConversationEvent] = []

    def add(self, event: pb.ConversationEvent) -> None:
        """Keep one."""
        self.events.append(event)


async def sequences(items: AsyncIterator[Item], count: int) -> list[int]:
    """Return the sequences of the next events."""
    told = [await anext(items) for _ in range(count)]
    return [item.sequence for item in told if isinstance(item, pb.ConversationEvent)]


async def read(listener: Listener) -> list[int]:
    """Return the sequences of the events that a listener gets until it is closed."""
    return [
        item.sequence async for item in listener.items() if isinstance(item, pb.ConversationEvent)
    ]


@in_virtual_time
async def test_every_listener_gets_the_same_from_its_arrival_on() -> None:
    recorder = Recorder()
    events = EventLog(recorder=recorder, last_sequence=10)
    with events.attached() as early:
        events.publish(ReplyUpdated(delta="a"), turn_id=1)
        with events.attached() as late:
            events.publish(ReplyUpdated(delta="b"), turn_id=1)
        events.publish(ReplyUpdated(delta="c"), turn_id=2)
    assert await read(early) == [11, 12, 13]
    assert await read(late) == [12]
    assert [event.sequence for event in recorder.events] == [11, 12, 13]
    assert [event.turn_id for event in recorder.events] == [1, 1, 2]


@in_virtual_time
async def test_who_hears_nothing_is_told_a_moment_later_and_of_all_that_happened_by_then() -> None:
    events = EventLog(recorder=None)
    loop = asyncio.get_running_loop()
    happened_at = loop.time()
    with events.attached(is_patient=True) as listener:
        items = listener.items()
        events.publish(ReplyUpdated(delta="a"), turn_id=1)
        await asyncio.sleep(BEHIND_S / 2)
        events.publish(ReplyUpdated(delta="b"), turn_id=1)
        assert await sequences(items, 2) == [1, 2]
        assert loop.time() - happened_at == pytest.approx(BEHIND_S)


@in_virtual_time
async def test_a_call_of_the_app_is_told_at_once_after_what_happened_before_it() -> None:
    events = EventLog(recorder=None)
    loop = asyncio.get_running_loop()
    happened_at = loop.time()
    call = ToolCall(call_id="1", name="open", arguments="{}")
    with events.attached(is_patient=True) as listener:
        items = listener.items()
        for event in (ReplyUpdated(delta="a"), ReplyUpdated(delta="b")):
            events.publish(event, turn_id=1)
        first = asyncio.ensure_future(sequences(items, 4))
        await asyncio.sleep(BEHIND_S / 2)
        for _ in range(2):
            events.publish(ToolCalled(call=call), turn_id=1)
        assert await first == [1, 2, 3, 4]
        assert loop.time() - happened_at == pytest.approx(BEHIND_S / 2)
        events.publish(ReplyUpdated(delta="c"), turn_id=1)
        await anext(items)
        assert loop.time() - happened_at == pytest.approx(BEHIND_S * 1.5)


@in_virtual_time
async def test_nobody_waits_while_somebody_hears_the_sound() -> None:
    events = EventLog(recorder=None)
    loop = asyncio.get_running_loop()
    happened_at = loop.time()
    with events.attached(is_patient=True) as patient, events.attached() as hearer:
        events.publish(ReplyUpdated(delta="a"), turn_id=1)
        for listener in (patient, hearer):
            assert await sequences(listener.items(), 1) == [1]
    assert loop.time() == happened_at


@in_virtual_time
async def test_whoever_leaves_within_the_moment_misses_nothing_and_nor_does_the_record() -> None:
    recorder = Recorder()
    events = EventLog(recorder=recorder)
    with events.attached(is_patient=True) as listener:
        events.publish(ReplyUpdated(delta="a"), turn_id=1)
    assert await read(listener) == [1]
    events.publish(ReplyUpdated(delta="b"), turn_id=1)
    with events.attached(is_patient=True) as late:
        events.publish(ReplyUpdated(delta="c"), turn_id=1)
        await events.all_delivered()
    assert await read(late) == [3]
    assert [event.sequence for event in recorder.events] == [1, 2, 3]


@in_virtual_time
async def test_what_happened_within_the_moment_is_on_record_before_the_record_is_read() -> None:
    recorder = Recorder()

    class Past:
        async def events_after(self, sequence: int) -> list[pb.ConversationEvent]:
            return [event for event in recorder.events if event.sequence > sequence]

    events = EventLog(recorder=recorder, past=Past())
    with events.attached(is_patient=True):
        for delta in "abc":
            events.publish(ReplyUpdated(delta=delta), turn_id=1)
        assert [event.sequence for event in await events.events_after(1)] == [2, 3]


@in_virtual_time
async def test_an_event_has_the_time_at_which_it_happened() -> None:
    recorder = Recorder()
    events = EventLog(recorder=recorder)
    happened_after = steady_time()
    events.publish(ReplyUpdated(delta="a"), turn_id=1)
    happened_before = steady_time()
    await events.all_delivered()
    event_time = recorder.events[0].event_time.ToMicroseconds() / 1e6
    assert happened_after - 1e-6 <= event_time <= happened_before + 1e-6


@in_virtual_time
async def test_a_listener_that_does_not_read_is_sent_away() -> None:
    events = EventLog(recorder=None)
    with events.attached() as slow, events.attached() as quick:
        reading = asyncio.create_task(read(quick))
        for _ in range(WAITING_ITEMS + 1):
            events.publish(ReplyUpdated(delta="a"), turn_id=1)
            await asyncio.sleep(0)
        with pytest.raises(ServiceError) as failure:
            await read(slow)
        assert failure.value.reason is Reason.RATE_LIMITED
    assert len(await reading) == WAITING_ITEMS + 1


@in_virtual_time
async def test_audio_waits_for_its_listener_but_not_for_ever() -> None:
    with EventLog(recorder=None).attached() as listener:
        for _ in range(WAITING_AUDIO):
            await listener.put_audio(AUDIO)
        with pytest.raises(ServiceError):
            await listener.put_audio(AUDIO)
        assert asyncio.get_running_loop().time() == pytest.approx(ROOM_S)


@in_virtual_time
async def test_audio_goes_on_when_its_listener_reads() -> None:
    with EventLog(recorder=None).attached() as listener:

        async def produce() -> None:
            for _ in range(5 * WAITING_AUDIO):
                await listener.put_audio(AUDIO)
            listener.close()

        producing = asyncio.create_task(produce())
        items = [item async for item in listener.items()]
        assert items == [AUDIO] * 5 * WAITING_AUDIO
        await producing


@in_virtual_time
async def test_audio_for_one_who_left_is_refused() -> None:
    with EventLog(recorder=None).attached() as listener:
        pass
    with pytest.raises(ServiceError):
        await listener.put_audio(AUDIO)


@in_virtual_time
async def test_a_failure_comes_after_earlier_events_and_to_later_listeners() -> None:
    events = EventLog(recorder=None)
    error = ServiceError(Reason.TASK_ENDED, "over")
    with events.attached() as listener:
        events.publish(ReplyUpdated(delta="a"), turn_id=1)
        events.fail(error)
        items = listener.items()
        assert isinstance(await anext(items), pb.ConversationEvent)
        with pytest.raises(ServiceError, match="over"):
            await anext(items)
    with pytest.raises(ServiceError, match="over"), events.attached():
        pass
