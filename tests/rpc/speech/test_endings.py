"""How a conversation ends whose user goes away or says nothing: no avatar is on air for nobody."""

import asyncio

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.task.v1 import task_pb2
from services.runtime.callers.tenants import NO_QUOTAS
from services.speech.conversation.conversation import Conversation
from services.speech.conversation.event_log import EventLog
from services.speech.conversation.facts_of_call import FactsOfCall
from services.speech.conversation.hang_up import WARNING_S, hanging_up
from services.speech.conversation.talk_rate import TalkRate
from services.speech.dialogue.replies import History
from services.speech.tools.calls import Calls
from tests.support.converse import Talk, leave, setup, text
from tests.support.fake_tasks import TASK_ID
from tests.support.speech_rig import SpeechRig, speech_rig
from tests.support.virtual_time import in_virtual_time

LONG_S = 3600


async def stop_reason(rig: SpeechRig) -> int:
    """Wait for the task's stop, and return its reason."""
    request = await rig.tasks.stops.get()
    assert request.task_id == TASK_ID
    return request.reason


async def test_a_user_who_leaves_takes_the_task_off_air() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        await talk.send(leave(0.1))
        assert await talk.read_on() == []
        assert await stop_reason(rig) == task_pb2.STOP_REASON_CLIENT_GONE


async def test_a_turn_that_has_begun_is_held_before_the_task_ends() -> None:
    async with speech_rig() as rig, Talk.open(rig) as watcher, Talk.open(rig) as talk:
        await talk.send(text("Why?"), leave(0))
        await talk.read_on()
        await watcher.until("turn_finished")
        assert rig.tasks.stops.empty()
        await watcher.cancel()
        assert await stop_reason(rig) == task_pb2.STOP_REASON_CLIENT_GONE


async def test_a_user_who_comes_back_goes_on() -> None:
    async with speech_rig() as rig:
        async with Talk.open(rig) as talk:
            await talk.send(text("Why?"))
            await talk.until("turn_finished")
            await talk.send(leave(LONG_S))
            await talk.read_on()
        async with Talk.open(rig, setup(resume_after_sequence=0)) as talk:
            await talk.until("turn_finished")
            await talk.send(text("And then?"))
            await talk.until("turn_finished")
        assert rig.tasks.stops.empty()


async def test_a_line_that_breaks_does_not_end_the_task() -> None:
    async with speech_rig() as rig:
        async with Talk.open(rig) as talk:
            await talk.send(text("Why?"))
            await talk.until("turn_finished")
        async with Talk.open(rig) as talk:
            await talk.send(text("And then?"))
            await talk.until("turn_finished")
        assert rig.tasks.stops.empty()


async def test_a_silent_user_is_warned_and_then_hung_up_on() -> None:
    async with speech_rig() as rig:
        rig.tasks.add(TASK_ID, max_idle_s=2)
        async with Talk.open(rig) as talk:
            warned = await talk.until("turn_started")
            assert warned.turn_started.origin == events_pb.TURN_ORIGIN_PROMPT
            assert await stop_reason(rig) == task_pb2.STOP_REASON_IDLE


class Quiet:
    """A conversation without turns whose warnings and end are noted."""

    def __init__(self) -> None:
        self.conversation = Conversation(
            events=EventLog(recorder=None),
            history=History(),
            last_turn_id=0,
            facts=FactsOfCall.without_task(),
            stages=None,  # type: ignore[arg-type]  # no turn is held
            calls=Calls(),
            talk_rate=TalkRate(NO_QUOTAS),
        )
        self.calls: list[str] = []

    def warn(self) -> None:
        self.calls.append("warned")

    async def end(self) -> None:
        self.calls.append("ended")


@in_virtual_time
async def test_the_warning_comes_in_time_before_the_end() -> None:
    quiet = Quiet()
    async with hanging_up(quiet.conversation, longest_quiet_s=120, warn=quiet.warn, end=quiet.end):
        await asyncio.sleep(120 - WARNING_S - 1)
        assert quiet.calls == []
        await asyncio.sleep(2)
        assert quiet.calls == ["warned"]
        await asyncio.sleep(WARNING_S)
        assert quiet.calls == ["warned", "ended"]


@in_virtual_time
async def test_a_voice_after_the_warning_starts_the_time_again() -> None:
    quiet = Quiet()
    async with hanging_up(quiet.conversation, longest_quiet_s=120, warn=quiet.warn, end=quiet.end):
        await asyncio.sleep(110)
        quiet.conversation.note_speech(0)
        await asyncio.sleep(90)
        assert quiet.calls == ["warned"]
        await asyncio.sleep(40)
        assert quiet.calls == ["warned", "warned", "ended"]
