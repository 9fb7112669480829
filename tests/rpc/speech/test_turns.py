"""Turns over real servers: order, drives, interruption, failures at every stage."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from services.runtime.failures.errors import ServiceError, from_status
from services.runtime.failures.reasons import Reason
from services.speech.ports.chat import ChatMessage, Role
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest
from services.speech.provider_settings import Price
from tests.support.converse import COMMIT, INTERRUPT, Talk, audio, say, setup, text
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import silent, voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer, ScriptedSynthesizer
from tests.support.speech_rig import Script, speech_rig

REPLY = "This is the answer to it. And this is the second sentence."


@dataclass(slots=True, kw_only=True)
class ReadySynthesizer(ScriptedSynthesizer):
    """Notes that it is asked to get ready."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio text by text."""
        self.asked.set()
        return ScriptedSynthesizer.speak(self, texts, request)


async def test_the_voice_gets_ready_while_the_first_sentence_is_written() -> None:
    gate = asyncio.Event()
    synthesizer = ReadySynthesizer()
    chat = ScriptedChat(deltas=("This is", " the answer to it."), gate=gate)
    script = Script(chat=chat, synthesizer=synthesizer)
    async with speech_rig(script) as rig, Talk.open(rig) as talk:
        await talk.send(text("Why?"))
        await synthesizer.asked.wait()
        assert not synthesizer.spoken
        gate.set()
        await talk.finish()
        assert talk.last("turn_finished").heard_text == "This is the answer to it."


async def test_a_spoken_question_is_answered() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        await talk.send(*audio(silent(0.5) + voiced(1) + silent(0.5)), COMMIT)
        kinds = await talk.finish()

        playback = kinds.index("playback_started")
        assert kinds.index("sentence_started") < playback < kinds.index("turn_finished")
        assert [each for each in kinds if each not in ("reply_updated", "playback_started")] == [
            "speech_started",
            "speech_ended",
            "transcript_updated",
            "turn_started",
            "sentence_started",
            "sentence_started",
            "turn_finished",
        ]
        assert [event.sequence for event in talk.events] == list(range(1, len(kinds) + 1))
        assert {event.turn_id for event in talk.events} == {1}
        started = talk.last("turn_started")
        assert started.user_text == "hello there"
        assert started.origin == events_pb.TURN_ORIGIN_SPEECH
        assert started.language_code == "en"
        finished = talk.last("turn_finished")
        assert finished.reply_text == finished.heard_text == REPLY
        assert not finished.interrupted
        assert finished.ledger.heard_method == events_pb.HEARD_METHOD_COMPLETE
        assert finished.ledger.playback_method == events_pb.PLAYBACK_METHOD_CONFIRMED
        assert finished.ledger.sentence_count == 2
        reached = {field.name for field, _ in finished.latency.ListFields()}
        assert reached >= {
            "anchor_time",
            "endpoint_offset",
            "transcript_offset",
            "first_token_offset",
            "first_sentence_offset",
            "first_audio_offset",
            "drive_ready_offset",
            "playback_started_offset",
            "last_token_offset",
        }
        [drive] = rig.avatars.drives
        assert drive.setup.avatar_id == f"avatar-of-{TASK_ID}"
        assert drive.setup.turn_id == 1
        assert len(drive.pcm) == finished.ledger.produced_duration.ToMilliseconds() * 48
        # Trimmed to the speech and a little on both sides.
        utterance = rig.recognizer.heard[-1]
        assert 1.0 <= len(utterance) / 32_000 <= 1.7


async def test_the_first_audio_leaves_before_the_last_word_is_written() -> None:
    gate = asyncio.Event()
    chat = ScriptedChat(deltas=("This is the answer to it. ", "The end of it."), gate=gate)
    async with speech_rig(Script(chat=chat)) as rig, Talk.open(rig) as talk:
        await talk.send(text("Why?"))
        # The model writes on only when the avatar has audio: a reply that waits deadlocks here.
        async with asyncio.timeout(10):
            await rig.avatars.first_pcm.wait()
        gate.set()
        kinds = await talk.finish()
        assert kinds[-1] == "turn_finished"
        assert len(rig.avatars.drives) == 1
        latency = talk.last("turn_finished").latency
        drive_ready = latency.drive_ready_offset.ToMicroseconds()
        assert drive_ready < latency.last_token_offset.ToMicroseconds()


async def test_an_interrupt_keeps_what_was_heard() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.6  # 12 characters: "This is the "
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        await talk.send(INTERRUPT)
        event = await talk.until("turn_finished")
        finished = event.turn_finished
        assert finished.interrupted
        assert finished.heard_text == "This is the"
        assert finished.ledger.heard_method == events_pb.HEARD_METHOD_WORD_TIMES
        assert rig.avatars.drives[0].ended_by == "interrupt"

        rig.avatars.plays_s = None
        await talk.send(text("And then?"))
        await talk.finish()
        assert rig.chat.prompts[1][1:] == [
            ChatMessage(role=Role.USER, content="Why?"),
            ChatMessage(role=Role.ASSISTANT, content="This is the"),
            ChatMessage(role=Role.USER, content="And then?"),
        ]


async def test_a_new_question_cuts_the_reply_off_and_comes_after_it() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.6
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        await talk.send(*audio(voiced(0.5)), COMMIT)
        await talk.until("turn_finished")
        await talk.until("turn_started")
        await rig.tasks.recorded("turn_started", count=2)
        recorded = rig.tasks.records[TASK_ID]
        turns = [
            (each.WhichOneof("event"), each.turn_id)
            for each in recorded
            if each.HasField("turn_started") or each.HasField("turn_finished")
        ]
        assert turns == [("turn_started", 1), ("turn_finished", 1), ("turn_started", 2)]
        await talk.until("playback_started")
        await talk.send(INTERRUPT)
        await talk.finish()
        assert [drive.ended_by for drive in rig.avatars.drives] == ["interrupt", "interrupt"]


async def test_words_are_taken_even_when_their_reply_is_cut_off_before_it_begins() -> None:
    gate = asyncio.Event()
    recognizer = ScriptedRecognizer(gate=gate)
    async with speech_rig(Script(recognizer=recognizer)) as rig, Talk.open(rig) as talk:
        await talk.send(*audio(voiced(1)), COMMIT)
        await talk.until("speech_ended")
        await talk.send(*audio(voiced(1)), COMMIT)
        await talk.until("speech_ended")
        gate.set()
        first = await talk.until("turn_finished")
        assert first.turn_finished.interrupted
        assert first.turn_finished.heard_text == ""
        assert first.turn_finished.ledger.heard_method == events_pb.HEARD_METHOD_NOTHING
        await talk.finish()
        assert rig.chat.prompts[-1][1].content == "hello there\nhello there"


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        (pb.SAY_PRIORITY_LOW, ["Why?"]),
        (pb.SAY_PRIORITY_NORMAL, ["Why?", "Attention please, all of you."]),
    ],
)
async def test_scripted_words_wait_or_are_dropped(
    priority: pb.SayPriority.ValueType, expected: list[str]
) -> None:
    gate = asyncio.Event()
    chat = ScriptedChat(gate=gate)
    async with speech_rig(Script(chat=chat)) as rig, Talk.open(rig) as talk:
        await talk.send(text("Why?"))
        await talk.until("turn_started")
        await talk.send(say("Attention please, all of you.", priority))
        gate.set()
        await talk.finish()
        turns = [each.turn_started for each in talk.events if each.HasField("turn_started")]
        finished = [each.turn_finished for each in talk.events if each.HasField("turn_finished")]
        said = [
            turn.user_text or reply.reply_text for turn, reply in zip(turns, finished, strict=True)
        ]
        assert said == expected
        assert not any(each.interrupted for each in finished)


async def test_urgent_words_cut_the_reply_off() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.6
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        rig.avatars.plays_s = None
        await talk.send(say("Please leave the building now.", pb.SAY_PRIORITY_HIGH))
        await talk.finish()
        finished = [each.turn_finished for each in talk.events if each.HasField("turn_finished")]
        assert [each.interrupted for each in finished] == [True, False]
        assert finished[1].heard_text == "Please leave the building now."
        assert talk.last("turn_started").origin == events_pb.TURN_ORIGIN_SAY


async def test_an_open_microphone_finds_the_utterances() -> None:
    async with speech_rig() as rig:
        request = setup(turn_detection=pb.TURN_DETECTION_SERVER)
        async with Talk.open(rig, request) as talk:
            await talk.send(*audio(silent(1) + voiced(1) + silent(1.2)))
            await talk.until("turn_finished")
            await talk.send(*audio(voiced(0.6) + silent(1.2)))
            kinds = await talk.finish()
            assert kinds.count("turn_finished") == 2
            assert kinds.count("speech_started") == kinds.count("speech_ended") == 2
            first = next(each for each in talk.events if each.HasField("speech_started"))
            offset = first.speech_started.start_offset.ToMilliseconds()
            assert abs(offset - 1_000) <= 32


async def test_audio_goes_to_the_caller_and_no_avatar_is_driven() -> None:
    async with speech_rig() as rig:
        request = setup(task_id="", output=pb.REPLY_OUTPUT_AUDIO)
        async with Talk.open(rig, request) as talk:
            await talk.send(text("Why?"))
            await talk.finish()
            finished = talk.last("turn_finished")
            assert finished.heard_text == REPLY
            assert finished.ledger.playback_method == events_pb.PLAYBACK_METHOD_CALLER
            assert len(talk.pcm) == finished.ledger.produced_duration.ToMilliseconds() * 48
            assert rig.avatars.drives == []
            assert rig.tasks.records[TASK_ID] == []


async def test_audio_goes_to_the_avatar_and_the_caller() -> None:
    async with speech_rig() as rig:
        request = setup(output=pb.REPLY_OUTPUT_AVATAR_AND_AUDIO)
        async with Talk.open(rig, request) as talk:
            await talk.send(text("Why?"))
            await talk.finish()
            [drive] = rig.avatars.drives
            assert bytes(drive.pcm) == bytes(talk.pcm) != b""
            assert talk.kinds.count("playback_started") == 1


async def test_a_curated_answer_needs_no_model() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        await talk.send(text("when do you open"))
        await talk.finish()
        assert talk.last("turn_finished").reply_text == "We open at nine."
        assert rig.chat.prompts == []


LATER = "This is the answer to it."


def _script(stage: Stage, error: Exception) -> Script:
    match stage:
        case Stage.RECOGNITION:
            return Script(recognizer=ScriptedRecognizer(error=error))
        case Stage.CHAT:
            return Script(chat=ScriptedChat(error=error))
        case Stage.SYNTHESIS:
            return Script(synthesizer=ScriptedSynthesizer(error=error, fails_from=1))


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("transient", None),
        ("setup", Reason.PROVIDER_MISCONFIGURED),
        ("quota", Reason.PROVIDER_QUOTA_EXCEEDED),
        ("bug", Reason.INTERNAL),
    ],
)
async def test_a_provider_that_fails_ends_the_turn_alone(
    stage: Stage, kind: str, reason: Reason | None
) -> None:
    error = {
        "transient": ProviderError(stage, "vendor", "SECRET", transient=True),
        "setup": ProviderError(stage, "vendor", "SECRET", transient=False),
        "quota": ProviderQuotaError(stage, "vendor", "SECRET"),
        "bug": RuntimeError("SECRET"),
    }[kind]
    expected = reason or Reason(f"{stage.name}_UNAVAILABLE")
    async with speech_rig(_script(stage, error)) as rig, Talk.open(rig) as talk:
        await talk.send(*audio(voiced(1)), COMMIT)
        event = await talk.until("turn_failed")
        failed = event.turn_failed
        found = from_status(failed.status)
        assert found is not None
        assert found.reason is expected
        assert "SECRET" not in str(event)
        if stage is Stage.RECOGNITION:
            assert "turn_started" not in talk.kinds
        elif kind != "bug":
            assert failed.heard_text == LATER
        # The conversation goes on.
        await talk.send(say("All is well again."))
        await talk.until("turn_started")


async def test_a_mute_voice_is_an_outage() -> None:
    script = Script(synthesizer=ScriptedSynthesizer(is_mute=True))
    async with speech_rig(script) as rig, Talk.open(rig) as talk:
        await talk.send(text("Why?"))
        event = await talk.until("turn_failed")
        found = from_status(event.turn_failed.status)
        assert found is not None
        assert found.reason is Reason.SYNTHESIS_UNAVAILABLE


@pytest.mark.parametrize("words", ["", "\n", "…", "😀"])
async def test_a_reply_without_a_word_is_an_outage(words: str) -> None:
    script = Script(chat=ScriptedChat(deltas=(words,)))
    async with speech_rig(script) as rig, Talk.open(rig) as talk:
        await talk.send(text("Why?"))
        event = await talk.until("turn_failed")
        found = from_status(event.turn_failed.status)
        assert found is not None
        assert found.reason is Reason.CHAT_UNAVAILABLE
        assert found.metadata == {"stage": "chat", "provider": "scripted"}
        assert "reply_updated" not in talk.kinds


async def test_no_words_are_no_turn() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        await talk.send(*audio(silent(1)), COMMIT)
        event = await talk.until("turn_failed")
        found = from_status(event.turn_failed.status)
        assert found is not None
        assert found.reason is Reason.NO_SPEECH
        assert rig.recognizer.heard == []
        rig.recognizer.hypotheses = ("",)
        await talk.send(*audio(voiced(1)), COMMIT)
        event = await talk.until("turn_failed")
        assert event.turn_id == 2


async def test_an_avatar_that_cannot_be_driven_ends_the_turn_with_its_reason() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.error = ServiceError(Reason.AVATAR_NOT_ON_AIR, "not yet")
        await talk.send(text("Why?"))
        event = await talk.until("turn_failed")
        found = from_status(event.turn_failed.status)
        assert found is not None
        assert found.reason is Reason.AVATAR_NOT_ON_AIR
        assert event.turn_failed.heard_text == ""
        rig.avatars.error = None
        await talk.send(text("Again?"))
        await talk.until("turn_finished")


async def test_a_drive_that_is_lost_ends_the_turn() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.fails_after_s = 0.6
        rig.avatars.error = ServiceError(Reason.DRIVE_LOST, "lost", sent_ms="600", played_ms="600")
        await talk.send(text("Why?"))
        event = await talk.until("turn_failed")
        found = from_status(event.turn_failed.status)
        assert found is not None
        assert found.reason is Reason.DRIVE_LOST
        # Nothing, when the loss meets a write and gRPC forgets what came with it.
        assert event.turn_failed.heard_text in ("This is the", "")


async def test_an_avatar_cut_off_by_others_ends_the_turn() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.cuts_off_after_s = 0.3
        await talk.send(text("Why?"))
        event = await talk.until("turn_finished")
        assert event.turn_finished.interrupted
        assert event.turn_finished.heard_text != REPLY


async def test_a_caller_that_goes_away_leaves_nothing_behind() -> None:
    gate = asyncio.Event()
    async with speech_rig(Script(chat=ScriptedChat(gate=gate))) as rig:
        async with Talk.open(rig, setup(task_id="", output=pb.REPLY_OUTPUT_AUDIO)) as talk:
            await talk.send(text("Why?"))
            await talk.until("turn_started")
            await talk.cancel()
        async with Talk.open(rig) as talk:
            await talk.send(text("Why?"))
            await talk.until("turn_started")
            await talk.cancel()
        # With an avatar the reply goes on for those who watch it.
        gate.set()
        await rig.tasks.recorded("turn_finished")
        async with asyncio.timeout(10):
            while _conversation_tasks():
                await asyncio.wait(_conversation_tasks())
        assert rig.chat.closed == 2


def _conversation_tasks() -> set[asyncio.Task[object]]:
    names = ("_keep", "hold_turns", "write_to", "read_from", "_reply", "Converse", "Record.write")
    return {
        task for task in asyncio.all_tasks() if any(name in str(task.get_coro()) for name in names)
    }


IN_ANOTHER_LANGUAGE = [
    (
        "en",
        "你们几点开门？",
        [("anna", "Sorry, I only speak English here."), ("wei", "抱歉，我在这里只会说英语。")],
    ),
    (
        "zh",
        "When do you open?",
        [("wei", "抱歉，我在这里只会说中文。"), ("anna", "Sorry, I only speak Chinese here.")],
    ),
]


@pytest.mark.parametrize(("language_code", "words", "spoken"), IN_ANOTHER_LANGUAGE)
async def test_text_in_another_language_is_told_so_and_not_answered(
    language_code: str, words: str, spoken: list[tuple[str, str]]
) -> None:
    chat, synthesizer = ScriptedChat(), ScriptedSynthesizer()
    async with (
        speech_rig(Script(chat=chat, synthesizer=synthesizer)) as rig,
        Talk.open(rig, setup(language_code=language_code)) as talk,
    ):
        await talk.send(text(words))
        await talk.until("turn_finished")
        assert talk.last("turn_started").user_text == words
        assert list(zip(synthesizer.spoken_by, synthesizer.spoken, strict=True)) == spoken
        assert chat.prompts == []


@pytest.mark.parametrize("turn_detection", [pb.TURN_DETECTION_MANUAL, pb.TURN_DETECTION_SERVER])
@pytest.mark.parametrize(("language_code", "words", "spoken"), IN_ANOTHER_LANGUAGE)
async def test_speech_in_another_language_is_told_so_and_not_answered(
    turn_detection: pb.TurnDetection.ValueType,
    language_code: str,
    words: str,
    spoken: list[tuple[str, str]],
) -> None:
    chat, synthesizer = ScriptedChat(), ScriptedSynthesizer()
    recognizer = ScriptedRecognizer(hypotheses=(words,))
    script = Script(recognizer=recognizer, chat=chat, synthesizer=synthesizer)
    async with (
        speech_rig(script) as rig,
        Talk.open(rig, setup(language_code=language_code, turn_detection=turn_detection)) as talk,
    ):
        await talk.send(*audio(voiced(1) + silent(1.5)))
        if turn_detection == pb.TURN_DETECTION_MANUAL:
            await talk.send(COMMIT)
        await talk.until("turn_finished")
        assert talk.last("turn_started").user_text == words
        finished = talk.last("turn_finished")
        assert finished.heard_text == finished.reply_text == " ".join(text for _, text in spoken)
        assert list(zip(synthesizer.spoken_by, synthesizer.spoken, strict=True)) == spoken
        assert chat.prompts == []
        # What comes next is answered as ever, and the model is not told what it could not know.
        await talk.send(text("Why?"))
        await talk.until("turn_finished")
        assert all(words not in message.content for message in chat.prompts[0])


async def test_a_turn_tells_what_providers_were_used_for_since_the_one_before() -> None:
    script = Script(chat_price=Price(currency="EUR", per_million_output_tokens=1_000_000))
    async with speech_rig(script) as rig, Talk.open(rig) as talk:
        await talk.send(*audio(silent(0.5) + voiced(1) + silent(0.5)), COMMIT)
        await talk.finish()
        used = {each.stage: each for each in talk.last("turn_finished").usage}
    heard = used.pop(events_pb.PROVIDER_STAGE_RECOGNITION)
    assert heard.audio_duration.ToMilliseconds() >= 1000
    wrote = used.pop(events_pb.PROVIDER_STAGE_CHAT)
    assert wrote.estimated_tokens == wrote.input_tokens + wrote.output_tokens > 0
    assert (wrote.currency, wrote.cost_micros) == ("EUR", wrote.output_tokens * 1_000_000)
    spoke = used.pop(events_pb.PROVIDER_STAGE_SYNTHESIS)
    assert spoke.characters > 0
    assert spoke.audio_duration.ToMilliseconds() > 0
    assert not used


async def test_a_turn_that_fails_tells_what_it_used() -> None:
    fault = ProviderError(Stage.SYNTHESIS, "mouth", "down", transient=True)
    script = Script(synthesizer=ScriptedSynthesizer(error=fault))
    async with speech_rig(script) as rig, Talk.open(rig) as talk:
        await talk.send(text("Why?"))
        await talk.finish()
        stages = {each.stage for each in talk.last("turn_failed").usage}
    assert events_pb.PROVIDER_STAGE_CHAT in stages
