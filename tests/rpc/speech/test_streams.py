"""Several streams: they share a task's conversation, and tasks never mix."""

import asyncio

import grpc
import pytest

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.task.v1 import task_pb2
from services.runtime.failures.errors import ServiceError, from_rpc_error, from_status
from services.runtime.failures.reasons import Reason
from services.runtime.wire import to_duration
from services.speech.conversation.events import SentenceStarted
from services.speech.conversation.wire import to_sentence
from tests.support.converse import COMMIT, Talk, audio, refusal, setup, text
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import silent, voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedSynthesizer
from tests.support.speech_rig import Script, speech_rig


async def test_two_streams_of_a_task_hear_the_same_conversation() -> None:
    async with speech_rig() as rig, Talk.open(rig) as one, Talk.open(rig) as other:
        await one.send(text("Why?"))
        await one.until("turn_finished")
        await other.until("turn_finished")
        await other.send(*audio(voiced(1)), COMMIT)
        await other.until("turn_finished")
        await one.until("turn_finished")
        assert one.events == other.events
        assert [event.sequence for event in one.events] == list(range(1, len(one.events) + 1))
        assert max(event.turn_id for event in one.events) == 2


async def test_audio_goes_only_to_the_stream_that_asked() -> None:
    first = setup(output=pb.REPLY_OUTPUT_AUDIO)
    async with (
        speech_rig() as rig,
        Talk.open(rig, first) as one,
        Talk.open(rig, setup(output=pb.REPLY_OUTPUT_AUDIO)) as other,
    ):
        await one.send(text("Why?"))
        await one.until("turn_finished")
        await other.until("turn_finished")
        assert one.pcm
        assert not other.pcm


async def test_a_half_closed_stream_hears_the_turn_that_another_began() -> None:
    gate = asyncio.Event()
    script = Script(chat=ScriptedChat(gate=gate))
    async with speech_rig(script) as rig, Talk.open(rig) as one, Talk.open(rig) as other:
        await one.send(text("Why?"))
        await other.until("turn_started")
        finishing = asyncio.create_task(other.finish())
        gate.set()
        assert "turn_finished" in await finishing
        await one.finish()


async def test_tasks_never_hear_each_other() -> None:
    async with speech_rig() as rig:
        rig.tasks.add("task_b", persona_id="tutor", language_code="en-US")
        async with Talk.open(rig) as one, Talk.open(rig, setup(task_id="task_b")) as other:
            for talk, words in ((one, "Mine?"), (other, "Yours?"), (one, "Mine again?")):
                await talk.send(text(words))
            await asyncio.gather(one.finish(), other.finish())
            await rig.tasks.recorded("turn_finished", count=2)
            await rig.tasks.recorded("turn_finished", task_id="task_b")
            assert "Yours" not in str(one.events)
            assert "Mine" not in str(other.events)
        prompts = [" ".join(each.content for each in prompt) for prompt in rig.chat.prompts]
        assert not any("Mine" in prompt and "Yours" in prompt for prompt in prompts)
        assert {drive.setup.avatar_id for drive in rig.avatars.drives} == {
            "avatar-of-task_a",
            "avatar-of-task_b",
        }
        assert rig.tasks.records["task_b"] == other.events
        assert rig.tasks.records[TASK_ID] == one.events


async def test_a_stream_that_returns_gets_what_it_missed() -> None:
    async with speech_rig() as rig, Talk.open(rig) as stays:
        async with Talk.open(rig) as leaves:
            await leaves.send(text("Why?"))
            await leaves.until("turn_started")
            seen = leaves.events[-1].sequence
        await stays.until("turn_finished")
        again = setup(resume_after_sequence=seen)
        async with Talk.open(rig, again) as back:
            assert back.ready is not None
            assert back.ready.last_sequence == stays.events[-1].sequence
            await back.send(text("And then?"))
            await back.finish()
            await stays.until("turn_finished")
            assert [*leaves.events, *back.events] == stays.events


async def test_a_later_conversation_goes_on_where_the_first_ended() -> None:
    async with speech_rig() as rig:
        async with Talk.open(rig) as talk:
            await talk.send(text("Why?"))
            await talk.finish()
        async with Talk.open(rig) as later:
            assert later.ready is not None
            assert later.ready.last_sequence == len(talk.events)
            await later.send(text("And then?"))
            await later.finish()
            assert {event.turn_id for event in later.events} == {2}
            assert later.events[0].sequence == talk.events[-1].sequence + 1
        assert [each.content for each in rig.chat.prompts[1][1:]] == [
            "Why?",
            "This is the answer to it. And this is the second sentence.",
            "And then?",
        ]


async def test_a_turn_without_words_uses_up_its_number() -> None:
    async with speech_rig() as rig:
        async with Talk.open(rig) as talk:
            await talk.send(*audio(silent(1)), COMMIT)
            assert (await talk.finish())[-1] == "turn_failed"
        async with Talk.open(rig) as later:
            await later.send(text("Why?"))
            await later.finish()
            assert {event.turn_id for event in later.events} == {2}


async def test_turns_that_nobody_holds_any_more_end_with_an_event() -> None:
    """As a process that was killed leaves them: one was replied to, one being recognised."""
    started = events_pb.TurnStarted(user_text="Why?")
    left = [
        events_pb.ConversationEvent(sequence=1, turn_id=1, turn_started=started),
        events_pb.ConversationEvent(
            sequence=2, turn_id=1, reply_updated=events_pb.ReplyUpdated(delta="Because")
        ),
        events_pb.ConversationEvent(sequence=3, turn_id=2, speech_ended=events_pb.SpeechEnded()),
    ]
    async with speech_rig() as rig:
        rig.tasks.records[TASK_ID] += left
        async with Talk.open(rig, setup(resume_after_sequence=3)) as talk:
            await talk.send(text("And now?"))
            await talk.finish()
        first, second = talk.events[:2]
        assert [(each.sequence, each.turn_id) for each in (first, second)] == [(4, 1), (5, 2)]
        error = from_status(first.turn_failed.status)
        assert error is not None
        assert error.reason is Reason.TURN_ABANDONED
        assert first.turn_failed.reply_text == "Because"
        assert second.HasField("turn_failed")
        assert {each.turn_id for each in talk.events[2:]} == {3}
        assert talk.kinds[-1] == "turn_finished"
        await rig.tasks.recorded("turn_finished")
        assert rig.tasks.records[TASK_ID] == [*left, *talk.events]


@pytest.mark.parametrize(
    ("played_s", "heard"),
    [
        (0.0, ""),
        (0.9, "It costs $5"),
        (1.6, "It costs $5 today. And"),
        (60.0, "It costs $5 today. And you"),
    ],
)
async def test_what_was_heard_of_an_abandoned_reply_is_kept(played_s: float, heard: str) -> None:
    """By how far the avatar came, and by which words had become sound: in written words."""
    first, second = "It costs five dollars today.", "And you"
    half_second = "It costs $5 today. And you pay"
    synthesizer = ScriptedSynthesizer()
    started = events_pb.TurnStarted(user_text="How much?", language_code="en-US")
    sentences = [(first, 0, 18, 0.0), (second, 19, 26, len(first) * synthesizer.character_s)]
    left = [
        events_pb.ConversationEvent(sequence=1, turn_id=1, turn_started=started),
        events_pb.ConversationEvent(
            sequence=2, turn_id=1, reply_updated=events_pb.ReplyUpdated(delta=half_second)
        ),
        *(
            events_pb.ConversationEvent(
                sequence=sequence,
                turn_id=1,
                sentence_started=to_sentence(
                    SentenceStarted(
                        text=said,
                        text_start=start,
                        text_end=end,
                        audio_s=audio_s,
                        words=synthesizer.words(said),
                    )
                ),
            )
            for sequence, (said, start, end, audio_s) in enumerate(sentences, start=3)
        ),
    ]
    async with speech_rig() as rig:
        rig.tasks.records[TASK_ID] += left
        progress = avatar_pb2.DriveProgress(
            sent_duration=to_duration(played_s + 0.5),
            played_duration=to_duration(played_s),
        )
        rig.avatars.last_drive = avatar_pb2.LastDrive(turn_id=1, progress=progress)
        async with Talk.open(rig, setup(resume_after_sequence=4)) as talk:
            failed = (await talk.until("turn_failed")).turn_failed
            assert (failed.reply_text, failed.heard_text) == (half_second, heard)
            await talk.send(text("And then?"))
            await talk.finish()
        # The avatar does not speak on, and the model remembers what was heard.
        assert rig.avatars.cut_off == [f"avatar-of-{TASK_ID}"]
        said = [each.content for each in rig.chat.prompts[-1]]
        assert (heard in said) == bool(heard)


async def test_who_is_told_that_a_turn_is_over_finds_it_in_the_record() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        stumble = ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "not now")
        rig.tasks.failures = [stumble] * 3
        await talk.send(text("Why?"))
        closing = await talk.until("turn_finished")
        assert closing in rig.tasks.records[TASK_ID]


async def test_an_utterance_that_was_dismissed_is_not_ended_again() -> None:
    ended, dismissed = events_pb.SpeechEnded(), events_pb.SpeechDismissed()
    async with speech_rig() as rig:
        rig.tasks.records[TASK_ID] += [
            events_pb.ConversationEvent(sequence=1, turn_id=1, speech_ended=ended),
            events_pb.ConversationEvent(sequence=2, turn_id=1, speech_dismissed=dismissed),
            events_pb.ConversationEvent(sequence=3, turn_id=2, speech_dismissed=dismissed),
            events_pb.ConversationEvent(sequence=4, turn_id=2, speech_ended=ended),
        ]
        async with Talk.open(rig, setup(resume_after_sequence=4)) as talk:
            await talk.send(text("And now?"))
            await talk.finish()
        failed, *others = talk.events
        assert failed.HasField("turn_failed")
        assert failed.turn_id == 2
        assert {each.turn_id for each in others} == {3}


async def test_an_avatar_speaks_on_when_the_caller_who_listens_too_is_gone() -> None:
    gate = asyncio.Event()
    async with speech_rig(Script(chat=ScriptedChat(gate=gate))) as rig:
        async with Talk.open(rig, setup(output=pb.REPLY_OUTPUT_AVATAR_AND_AUDIO)) as talk:
            await talk.send(text("Why?"))
            await talk.until("turn_started")
        gate.set()
        await rig.tasks.recorded("turn_finished")
        [drive] = rig.avatars.drives
        assert drive.ended_by == "finish"


async def test_the_record_survives_a_task_service_that_stumbles() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        stumble = ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "not now")
        rig.tasks.failures = [stumble, stumble]
        await talk.send(text("Why?"))
        await talk.finish()
        await rig.tasks.recorded("turn_finished")
        assert rig.tasks.records[TASK_ID] == talk.events


async def test_a_conversation_whose_record_is_refused_ends() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.tasks.failures = [ServiceError(Reason.TASK_ENDED, "over")]
        rig.avatars.plays_s = 0.1
        await talk.send(text("Why?"))
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await talk.finish()
        assert from_rpc_error(failure.value).reason is Reason.TASK_ENDED


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_conversation_ends_with_its_task_though_nobody_speaks(is_gone: bool) -> None:
    async with speech_rig(Script(task_check_s=0.05)) as rig:
        rig.tasks.add("task_b")
        async with Talk.open(rig) as talk, Talk.open(rig, setup(task_id="task_b")) as other:
            if is_gone:
                del rig.tasks.tasks[TASK_ID]
            else:
                rig.tasks.tasks[TASK_ID].state = task_pb2.TASK_STATE_STOPPED
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await talk.read_on()
            reason = Reason.TASK_NOT_FOUND if is_gone else Reason.TASK_ENDED
            assert from_rpc_error(failure.value).reason is reason
            await other.send(text("Why?"))
            assert "turn_finished" in await other.finish()


async def test_the_task_decides_who_speaks_unless_the_stream_does() -> None:
    async with speech_rig() as rig:
        rig.tasks.add("task_b", persona_id="tutor", language_code="en-GB")
        async with Talk.open(rig, setup(task_id="task_b")) as talk:
            assert talk.ready is not None
            assert talk.ready.persona_id == "tutor"
            assert talk.ready.language_code == "en"
            assert talk.ready.voice_id == "anna"
            assert talk.ready.output_format.sample_rate_hertz == 24_000
        request = setup(task_id="task_b", persona_id="host", language_code="zh-CN")
        async with Talk.open(rig, request) as talk:
            assert talk.ready is not None
            assert talk.ready.persona_id == "host"
            assert talk.ready.language_code == "zh"
            assert talk.ready.voice_id == "wei"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (task_pb2.TASK_STATE_CREATING, Reason.TASK_NOT_ON_AIR),
        (task_pb2.TASK_STATE_STARTING, Reason.TASK_NOT_ON_AIR),
        (task_pb2.TASK_STATE_STOPPING, Reason.TASK_ENDED),
        (task_pb2.TASK_STATE_STOPPED, Reason.TASK_ENDED),
        (task_pb2.TASK_STATE_FAILED, Reason.TASK_ENDED),
    ],
)
async def test_a_task_must_be_on_air(state: task_pb2.TaskState.ValueType, reason: Reason) -> None:
    async with speech_rig(Script(task_start_s=0.05)) as rig:
        rig.tasks.add("task_b", state=state)
        error = await refusal(rig, setup(task_id="task_b"))
        assert error is not None
        assert error.reason is reason
        assert (error.retry_after_s is not None) is (reason is Reason.TASK_NOT_ON_AIR)


@pytest.mark.parametrize(
    "state", [task_pb2.TASK_STATE_CREATING, task_pb2.TASK_STATE_STARTING], ids=["new", "starting"]
)
async def test_a_task_that_starts_is_waited_for(state: task_pb2.TaskState.ValueType) -> None:
    async with speech_rig() as rig:
        rig.tasks.add("task_b", state=state)
        opening = asyncio.create_task(refusal(rig, setup(task_id="task_b")))
        await rig.tasks.asked.wait()
        rig.tasks.tasks["task_b"].state = task_pb2.TASK_STATE_STREAMING
        assert await opening is None


async def test_a_task_that_does_not_come_on_air_is_told_of() -> None:
    async with speech_rig() as rig:
        rig.tasks.add("task_b", state=task_pb2.TASK_STATE_STARTING)
        opening = asyncio.create_task(refusal(rig, setup(task_id="task_b")))
        await rig.tasks.asked.wait()
        rig.tasks.tasks["task_b"].state = task_pb2.TASK_STATE_FAILED
        error = await opening
        assert error is not None
        assert error.reason is Reason.TASK_ENDED


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (setup(task_id="task_x"), Reason.TASK_NOT_FOUND),
        (setup(persona_id="nobody"), Reason.PERSONA_NOT_FOUND),
        (setup(language_code="fr"), Reason.LANGUAGE_UNSUPPORTED),
        (setup(persona_id="tutor", language_code="zh"), Reason.LANGUAGE_UNSUPPORTED),
        (setup(voice_id="nobody"), Reason.VOICE_NOT_FOUND),
        (setup(voice_id="wei"), Reason.LANGUAGE_UNSUPPORTED),
        (setup(resume_after_sequence=7), Reason.SEQUENCE_OUT_OF_RANGE),
        (setup(task_id=""), Reason.INVALID_REQUEST),
        (
            setup(task_id="", output=pb.REPLY_OUTPUT_AUDIO, resume_after_sequence=0),
            Reason.INVALID_REQUEST,
        ),
        (setup(output=pb.REPLY_OUTPUT_UNSPECIFIED), Reason.INVALID_REQUEST),
        (setup(turn_detection=pb.TURN_DETECTION_UNSPECIFIED), Reason.INVALID_REQUEST),
    ],
)
async def test_a_setup_that_cannot_be_is_refused(first: pb.ConverseRequest, reason: Reason) -> None:
    async with speech_rig() as rig:
        error = await refusal(rig, first)
        assert error is not None
        assert error.reason is reason
        # The service lives on.
        async with Talk.open(rig) as talk:
            await talk.send(text("Why?"))
            assert (await talk.finish())[-1] == "turn_finished"
