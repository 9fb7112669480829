"""With `auto`, every turn is held in the language in which the user speaks or writes."""

from digitalhuman.speech.v1 import speech_pb2 as pb
from services.runtime.failures.reasons import Reason
from services.speech.listening.rules import ListeningRules
from tests.support.converse import COMMIT, Talk, audio, refusal, say, setup, text
from tests.support.loudness import silent, voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer
from tests.support.speech_rig import Script, speech_rig


async def test_a_written_question_is_answered_in_its_language() -> None:
    async with speech_rig() as rig, Talk.open(rig, setup(language_code="auto")) as talk:
        assert talk.ready is not None
        assert talk.ready.language_code == "en"
        used = []
        for question in ("Who painted this?", "这幅画是谁画的？", "OK", "And who else?", "好"):
            await talk.send(text(question))
            started = await talk.until("turn_started")
            used.append((question, started.turn_started.language_code))
            await talk.until("turn_finished")
        # What belongs to no language is answered in the last one.
        assert used == [
            ("Who painted this?", "en"),
            ("这幅画是谁画的？", "zh"),
            ("OK", "zh"),
            ("And who else?", "en"),
            ("好", "zh"),
        ]
        voices = dict.fromkeys(rig.synthesizer.spoken_by)
        assert list(voices) == ["anna", "wei"]
        prompts = [prompt[0].content for prompt in rig.chat.prompts]
        assert prompts == [
            "You are a host.",
            "你是主持人。",
            "你是主持人。",
            "You are a host.",
            "你是主持人。",
        ]


async def test_a_spoken_question_is_answered_in_its_language_also_ahead_of_its_end() -> None:
    recognizer = ScriptedRecognizer(hypotheses=("这幅画是谁画的？",))
    script = Script(
        recognizer=recognizer,
        chat=ScriptedChat(deltas=("是一位", "很有名的画家画的。")),
        rules=ListeningRules(no_speech_s=0),
    )
    first = setup(language_code="auto", turn_detection=pb.TURN_DETECTION_SERVER)
    async with speech_rig(script) as rig, Talk.open(rig, first) as talk:
        await talk.send(*audio(voiced(1) + silent(2)))
        started = (await talk.until("turn_started")).turn_started
        assert started.language_code == "zh"
        await talk.until("turn_finished")
        assert set(rig.synthesizer.spoken_by) == {"wei"}
        assert recognizer.requests[-1].language_codes == ("en", "zh")
        # The next utterance is expected in the language of the last one.
        await talk.send(*audio(voiced(1) + silent(2)))
        await talk.until("turn_started")
        assert recognizer.requests[-1].language_codes == ("zh", "en")


async def test_what_the_application_says_is_in_the_language_of_the_last_turn() -> None:
    async with speech_rig() as rig, Talk.open(rig, setup(language_code="auto")) as talk:
        await talk.send(text("这幅画是谁画的？"))
        await talk.until("turn_finished")
        await talk.send(say("好的，请跟我来。"))
        await talk.until("turn_finished")
        assert rig.synthesizer.spoken_by[-1] == "wei"


async def test_a_wanted_voice_speaks_its_own_language() -> None:
    async with (
        speech_rig() as rig,
        Talk.open(rig, setup(language_code="auto", voice_id="wei")) as talk,
    ):
        await talk.send(text("Who painted this?"))
        await talk.until("turn_finished")
        await talk.send(text("这幅画是谁画的？"))
        await talk.until("turn_finished")
        assert list(dict.fromkeys(rig.synthesizer.spoken_by)) == ["anna", "wei"]
        error = await refusal(rig, setup(language_code="auto", voice_id="nobody"))
        assert error is not None
        assert error.reason is Reason.VOICE_NOT_FOUND


async def test_one_language_is_kept_where_it_was_chosen() -> None:
    async with speech_rig() as rig, Talk.open(rig, setup(language_code="en")) as talk:
        await talk.send(*audio(voiced(1)), COMMIT)
        await talk.until("turn_finished")
        assert rig.recognizer.requests[-1].language_codes == ("en",)
