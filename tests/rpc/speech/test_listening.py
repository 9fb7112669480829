"""An open microphone over real servers: interruptions, false ones, and replies begun ahead."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from services.speech.listening.rules import ListeningRules
from services.speech.ports.chat import ChatMessage, Role
from services.speech.ports.recognition import RecognitionRequest, Transcript
from tests.support.converse import COMMIT, Talk, audio, setup, text
from tests.support.loudness import silent, voiced
from tests.support.scripted_providers import ScriptedRecognizer
from tests.support.speech_rig import Script, SpeechRig, speech_rig

OPEN = setup(turn_detection=pb.TURN_DETECTION_SERVER)
REPLY = "This is the answer to it. And this is the second sentence."
PLAYED_S = 1.6  # 32 characters: into the second sentence.


def hearing(words: str, *, rules: ListeningRules | None = None) -> Script:
    """Return a script whose recogniser hears these words in the user's voice."""
    recognizer = ScriptedRecognizer(hears=lambda pcm: words if any(pcm) else "")
    return Script(recognizer=recognizer, rules=rules or ListeningRules())


@dataclass(slots=True, kw_only=True)
class RepetitiveRecognizer(ScriptedRecognizer):
    """Tells each hypothesis twice while the user speaks."""

    is_streaming: bool = True

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the hypotheses, the last as final at the end of the audio."""
        await anext(audio)
        for hypothesis in self.hypotheses:
            yield Transcript(text=hypothesis, is_final=False)
            yield Transcript(text=hypothesis, is_final=False)
        async for _ in audio:
            pass
        yield Transcript(text=self.hypotheses[-1], is_final=True)


async def interrupted(rig: SpeechRig, talk: Talk) -> None:
    """Ask, and make a voice heard in the middle of the reply."""
    rig.avatars.plays_s = PLAYED_S
    await talk.send(text("Why?"))
    await talk.until("playback_started")
    await talk.send(*audio(voiced(0.7)))


async def test_words_interrupt_and_are_answered() -> None:
    async with speech_rig(hearing("But what about Sunday?")) as rig, Talk.open(rig, OPEN) as talk:
        await interrupted(rig, talk)
        cut = await talk.until("turn_finished")
        assert cut.turn_finished.interrupted
        assert rig.avatars.drives[0].ended_by == "interrupt"
        rig.avatars.plays_s = None
        await talk.send(*audio(silent(1.5)))
        await talk.until("turn_started")
        await talk.finish()
        assert talk.last("turn_started").user_text == "But what about Sunday?"
        # What was heard is remembered before the new question.
        assert rig.chat.prompts[-1][1:] == [
            ChatMessage(role=Role.USER, content="Why?"),
            ChatMessage(role=Role.ASSISTANT, content=cut.turn_finished.heard_text),
            ChatMessage(role=Role.USER, content="But what about Sunday?"),
        ]


async def test_a_listener_who_nods_hears_the_reply_to_its_end() -> None:
    async with speech_rig(hearing("Mm-hmm.")) as rig, Talk.open(rig, OPEN) as talk:
        await interrupted(rig, talk)
        await talk.send(*audio(silent(1.5)))
        dismissed = await talk.until("speech_dismissed")
        assert dismissed.speech_dismissed.reason == events_pb.DISMISSAL_REASON_BACKCHANNEL
        assert dismissed.speech_dismissed.text == "Mm-hmm."
        assert "turn_finished" not in talk.kinds
        assert len(rig.avatars.drives) == 1


async def test_a_reply_cut_off_for_nothing_is_taken_up_at_its_clause() -> None:
    script = hearing("", rules=ListeningRules(insist_s=0.5))
    async with speech_rig(script) as rig, Talk.open(rig, OPEN) as talk:
        rig.avatars.plays_s = PLAYED_S
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        # A recogniser that takes its time: the voice cuts the reply off before it has spoken.
        gate = script.recognizer.gate = asyncio.Event()
        await talk.send(*audio(voiced(0.8)))
        cut = await talk.until("turn_finished")
        assert cut.turn_finished.heard_text.startswith("This is the answer to it.")
        rig.avatars.plays_s = None
        gate.set()
        await talk.send(*audio(silent(1.5)))
        await talk.finish()
        dismissed = talk.last("speech_dismissed")
        assert dismissed.reason == events_pb.DISMISSAL_REASON_NOISE
        started = talk.last("turn_started")
        assert started.origin == events_pb.TURN_ORIGIN_RESUMED
        finished = talk.last("turn_finished")
        assert finished.reply_text == "And this is the second sentence."
        assert finished.heard_text == finished.reply_text
        assert len(rig.chat.prompts) == 1

        await talk.cancel()
        async with Talk.open(rig) as later:
            await later.send(text("And then?"))
            await later.finish()
        assert rig.chat.prompts[1][1:] == [
            ChatMessage(role=Role.USER, content="Why?"),
            ChatMessage(
                role=Role.ASSISTANT, content=f"{cut.turn_finished.heard_text}\n{REPLY[26:]}"
            ),
            ChatMessage(role=Role.USER, content="And then?"),
        ]


async def test_a_reply_begun_in_the_pause_is_the_one_that_is_spoken() -> None:
    async with speech_rig(hearing("Why is that?")) as rig, Talk.open(rig, OPEN) as talk:
        await talk.send(*audio(voiced(1) + silent(0.5)))
        await rig.chat.began.wait()
        assert "turn_started" not in talk.kinds
        await talk.send(*audio(silent(0.5)))
        await talk.finish()
        started = talk.last("turn_started")
        assert started.is_preemptive
        assert started.discarded_reply_count == 0
        assert talk.last("turn_finished").heard_text == REPLY
        assert len(rig.chat.prompts) == 1


async def test_a_reply_begun_too_soon_is_thrown_away_and_counted() -> None:
    async with speech_rig(hearing("Why is that?")) as rig, Talk.open(rig, OPEN) as talk:
        await talk.send(*audio(voiced(1) + silent(0.5)))
        await rig.chat.began.wait()
        await talk.send(*audio(voiced(1) + silent(1)))
        await talk.finish()
        assert talk.last("turn_started").discarded_reply_count == 1
        assert talk.kinds.count("turn_started") == 1
        assert rig.chat.closed == len(rig.chat.prompts)


async def test_a_question_cut_in_two_by_a_pause_is_answered_as_a_whole() -> None:
    script = hearing("I would like an appointment.")
    script.chat.gate = asyncio.Event()
    script.chat.deltas = ("Yes. ", "That is the whole answer to it.")
    async with speech_rig(script) as rig, Talk.open(rig, OPEN) as talk:
        await talk.send(*audio(voiced(1) + silent(1.2)))
        await talk.until("turn_started")
        # Nothing is heard of a reply yet, and the user goes on.
        await talk.send(*audio(voiced(0.5)))
        unheard = await talk.until("turn_finished")
        assert unheard.turn_finished.heard_text == ""
        script.chat.gate.set()
        await talk.send(*audio(silent(1.2)))
        await talk.finish()
        assert rig.chat.prompts[-1][-1] == ChatMessage(
            role=Role.USER,
            content="I would like an appointment.\nI would like an appointment.",
        )
        assert talk.last("turn_finished").heard_text == "Yes. That is the whole answer to it."


async def test_words_are_told_again_only_when_they_change_or_are_final() -> None:
    recognizer = RepetitiveRecognizer(hypotheses=("Why", "Why is that?"))
    async with speech_rig(Script(recognizer=recognizer)) as rig, Talk.open(rig) as talk:
        for _ in range(2):
            await talk.send(*audio(voiced(1)))
            await talk.send(COMMIT)
            await talk.until("turn_finished")
        await talk.finish()
        told = [
            (each.transcript_updated.text, each.transcript_updated.is_final)
            for each in talk.events
            if each.HasField("transcript_updated")
        ]
        assert told == 2 * [("Why", False), ("Why is that?", False), ("Why is that?", True)]


async def test_a_silent_user_is_asked_gently() -> None:
    rules = ListeningRules(no_speech_s=1.0)
    async with speech_rig(hearing("", rules=rules)) as rig, Talk.open(rig, OPEN) as talk:
        await talk.send(*audio(silent(1.5)))
        await talk.finish()
        assert talk.last("turn_started").origin == events_pb.TURN_ORIGIN_PROMPT
        assert talk.last("turn_finished").reply_text == "Are you still there?"


@pytest.mark.parametrize("first", [0, 1])
async def test_what_two_microphones_hear_at_once_is_numbered_as_it_is_answered(first: int) -> None:
    """Two streams of one task: each turn has one utterance that began, and one that ended."""
    async with (
        speech_rig() as rig,
        Talk.open(rig, OPEN) as one,
        Talk.open(rig, OPEN) as other,
    ):
        for talk in (one, other):
            await talk.send(*audio(voiced(0.5)))
            await one.until("speech_started")
        for talk in ((one, other), (other, one))[first]:
            await talk.send(*audio(silent(1.5)))
            await one.until("speech_ended")
        await one.until("turn_finished")
        for kind in ("speech_started", "speech_ended"):
            numbers = [event.turn_id for event in one.events if event.WhichOneof("event") == kind]
            assert numbers == [1, 2]


async def test_a_microphone_that_leaves_takes_no_number_with_it() -> None:
    async with speech_rig() as rig, Talk.open(rig, OPEN) as staying:
        async with Talk.open(rig, OPEN) as leaving:
            await leaving.send(*audio(voiced(0.5)))
            await staying.until("speech_started")
        while True:
            # Its end is noticed in time, with no event that tells.
            await staying.send(*audio(voiced(0.5) + silent(1.5)))
            started = await staying.until("speech_started")
            ended = await staying.until("speech_ended")
            if started.turn_id == ended.turn_id:
                return


async def test_noise_whose_words_are_looked_for_long_is_dismissed_all_the_same() -> None:
    """Its turn is prepared while the recogniser works, and comes to nothing."""
    gate = asyncio.Event()
    recognizer = ScriptedRecognizer(hypotheses=("",), gate=gate)
    async with speech_rig(Script(recognizer=recognizer)) as rig, Talk.open(rig, OPEN) as talk:
        await talk.send(*audio(voiced(0.5) + silent(2)))
        await talk.until("speech_ended")
        gate.set()
        await talk.until("speech_dismissed")
        recognizer.hypotheses = ("When do you open?",)
        await talk.send(*audio(voiced(0.5) + silent(2)))
        await talk.until("turn_finished")
        assert "turn_failed" not in talk.kinds
        ids = [event.turn_id for event in talk.events]
        assert ids == sorted(ids)
