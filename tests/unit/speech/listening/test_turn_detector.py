"""An open microphone: when the user is finished, goes on, listens, or interrupts."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import byte_count
from services.speech.listening.detector import Utterance
from services.speech.listening.hearing import Hearing, OnHypothesis, RepeatedHearing
from services.speech.listening.interruption import UtteranceKind
from services.speech.listening.rules import ListeningRules
from services.speech.listening.turn_detector import Speaking, TurnDetector
from services.speech.ports.recognition import Transcript
from tests.support.loudness import LoudnessDetector, silent, voiced
from tests.support.virtual_time import in_virtual_time

SECOND = 32_000
RECOGNITION_S = 0.1
FINISHED = "What time do you open?"
UNFINISHED = "What time do you open and"
RULES = ListeningRules(longest_s=5.0, no_speech_s=3.0)


@dataclass(slots=True, kw_only=True)
class ScriptedTurnEnd:
    """Gives its answers in order, the last one for ever."""

    answers: list[float]

    async def completion_probability(self, pcm: bytes) -> float:
        """Take as long as the recognition."""
        await asyncio.sleep(RECOGNITION_S)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass(slots=True, kw_only=True)
class ScriptedFloor:
    """Recognises a text by the length of its audio, and notes the calls to it."""

    text: Callable[[float], str]
    recognition_s: float = RECOGNITION_S
    speaking: Speaking = Speaking.SILENT
    recent_speech: str = ""
    error: ServiceError | None = None
    calls: list[str] = field(default_factory=list)
    asked: list[Utterance] = field(default_factory=list)
    recognised: int = 0
    words: list[str] = field(default_factory=list)

    async def recognise(self, pcm: bytes) -> Transcript:
        """Take a while."""
        self.recognised += 1
        await asyncio.sleep(self.recognition_s)
        if self.error is not None:
            raise self.error
        return Transcript(text=self.text(len(pcm) / SECOND), is_final=True)

    def open_hearing(self, on_hypothesis: OnHypothesis, first_s: float) -> Hearing:
        """Hear it by repeated recognition."""
        return RepeatedHearing(self.recognise, on_hypothesis, first_s=first_s)

    def note_words(self, transcript: Transcript) -> None:
        """Keep them."""
        self.words.append(transcript.text)

    def note_speech(self, start_s: float) -> None:
        """Note when."""
        self.calls.append(f"speech at {start_s:.1f}")

    def preempt(self, transcript: Transcript) -> None:
        """Note what."""
        self.calls.append("preempt")

    def withdraw_preemptive_reply(self) -> None:
        """Note it."""
        self.calls.append("withdraw")

    def yield_floor(self) -> None:
        """Fall silent."""
        self.calls.append("yield")
        self.speaking = Speaking.SILENT

    def ask(self, utterance: Utterance, transcript: "asyncio.Task[Transcript]") -> None:
        """Note what."""
        self.calls.append("ask")
        self.asked.append(utterance)

    async def dismiss(self, kind: UtteranceKind, text: str) -> None:
        """Note why."""
        self.calls.append(f"dismiss {kind}")

    def prompt(self) -> None:
        """Note it."""
        self.calls.append("prompt")


async def listen(
    floor: ScriptedFloor,
    pcm: bytes,
    *,
    turn_end: ScriptedTurnEnd | None = None,
    rules: ListeningRules = RULES,
    language_code: str = "en",
) -> list[str]:
    """Feed audio in real time, in messages of 20 ms that do not fit the frames."""
    microphone = TurnDetector(
        detector=LoudnessDetector(),
        rules=rules,
        turn_end=turn_end,
        floor=floor,
        language_code=language_code,
    )
    async with microphone.running():
        for at in range(0, len(pcm), 640):
            microphone.push(pcm[at : at + 640])
            await asyncio.sleep(0.02)
        microphone.finish()
    return floor.calls


@pytest.mark.parametrize(
    ("probability", "text", "silence_s"),
    [
        (0.9, FINISHED, 0.32),
        (0.1, FINISHED, 1.0),
        (0.9, "What time do you open", 1.0),
        (0.1, "What time do you open", 1.2),
        (0.9, UNFINISHED, 1.2),
        (0.9, "What time...", 1.2),
        (None, FINISHED, 1.0),
        (None, UNFINISHED, 1.2),
    ],
)
@in_virtual_time
async def test_a_pause_is_as_long_as_the_sentence_needs(
    probability: float | None, text: str, silence_s: float
) -> None:
    turn_end = None if probability is None else ScriptedTurnEnd(answers=[probability])
    for pause_s, expected in ((silence_s - 0.06, 0), (silence_s + 0.06, 1)):
        floor = ScriptedFloor(text=lambda _: text)
        feeding = asyncio.create_task(listen(floor, voiced(1) + silent(pause_s), turn_end=turn_end))
        await asyncio.sleep(1 + pause_s)
        assert floor.calls.count("ask") == expected
        await feeding
        [utterance] = floor.asked
        assert utterance.end_s == pytest.approx(1, abs=0.05)


@in_virtual_time
async def test_a_reply_is_begun_in_the_pause_and_thrown_away_when_the_user_goes_on() -> None:
    floor = ScriptedFloor(text=lambda length_s: FINISHED if length_s > 2 else UNFINISHED)
    calls = await listen(
        floor,
        voiced(1) + silent(0.7) + voiced(1) + silent(0.5),
        turn_end=ScriptedTurnEnd(answers=[0.9]),
        rules=replace(RULES, complete_silence_s=0.4),
    )
    assert calls == ["speech at 0.0", "preempt", "withdraw", "preempt", "ask"]
    assert floor.asked[0].end_s == pytest.approx(2.7, abs=0.05)


@in_virtual_time
async def test_endless_speech_is_ended() -> None:
    floor = ScriptedFloor(text=lambda _: FINISHED)
    await listen(floor, voiced(11))
    assert len(floor.asked) == 3
    assert all(len(each.pcm) <= 5.1 * SECOND for each in floor.asked)


@pytest.mark.parametrize("sizes", [(640,), (1,), (511, 3, 513), (65_535, 1), (65_536, 33_333)])
@in_virtual_time
async def test_an_onset_is_found_to_the_byte_whatever_the_messages_are(
    sizes: tuple[int, ...],
) -> None:
    """Half samples between messages too: the frames are cut from the stream, not from them."""
    quiet, voice = numbered(2.5, is_voiced=False), numbered(0.5, is_voiced=True)
    pcm = quiet + voice
    floor = ScriptedFloor(text=lambda _: FINISHED)
    microphone = TurnDetector(
        detector=LoudnessDetector(), rules=RULES, turn_end=None, floor=floor, language_code="en"
    )
    async with microphone.running():
        at = 0
        for size in itertools.cycle(sizes):
            if at >= len(pcm):
                break
            microphone.push(pcm[at : at + size])
            at += size
        microphone.finish()
    [utterance] = floor.asked
    assert floor.calls == [f"speech at {len(quiet) / SECOND:.1f}", "ask"]
    assert utterance.end_s == len(pcm) / SECOND
    assert utterance.pcm == quiet[-byte_count(RULES.lead_s, 16_000) :] + voice


def numbered(seconds: float, *, is_voiced: bool) -> bytes:
    """Return frames that differ, with or without a voice for the scripted detector."""
    frames = [
        (f"{at:>6}" * 86)[:512].encode() if is_voiced else bytes(2) + (f"{at:>6}" * 85).encode()
        for at in range(round(seconds * SECOND / 512))
    ]
    return b"".join(frames)


@in_virtual_time
async def test_hours_of_silence_are_not_kept() -> None:
    floor = ScriptedFloor(text=lambda _: FINISHED)
    await listen(floor, silent(60) + voiced(1) + silent(1))
    [utterance] = floor.asked
    assert len(utterance.pcm) / SECOND == pytest.approx(1.6, abs=0.1)


@in_virtual_time
async def test_noise_is_no_question() -> None:
    floor = ScriptedFloor(text=lambda _: "")
    assert await listen(floor, voiced(0.5) + silent(1)) == ["speech at 0.0", "dismiss noise"]


@pytest.mark.parametrize(
    ("text", "language_code"),
    [("Mm-hmm.", "en"), ("Uh-huh. Yeah.", "en"), ("嗯嗯。", "zh"), ("好的", "zh"), ("", "en")],
)
@in_virtual_time
async def test_whoever_only_listens_does_not_interrupt(text: str, language_code: str) -> None:
    floor = ScriptedFloor(text=lambda _: text, speaking=Speaking.ALOUD)
    calls = await listen(floor, voiced(0.8) + silent(1.3), language_code=language_code)
    kind = "backchannel" if text else "noise"
    assert calls == ["speech at 0.0", f"dismiss {kind}"]


@in_virtual_time
async def test_yes_is_an_answer_when_nobody_else_speaks() -> None:
    floor = ScriptedFloor(text=lambda _: "Yes.")
    assert "ask" in await listen(floor, voiced(0.5) + silent(1.3))


@in_virtual_time
async def test_words_interrupt_before_they_are_over() -> None:
    floor = ScriptedFloor(text=lambda _: "No, stop that", speaking=Speaking.ALOUD)
    calls = await listen(floor, voiced(0.7))
    assert calls == ["speech at 0.0", "yield", "ask"]
    # Half a second of voice, the recogniser's time, and the frames that these end in.
    assert floor.recognised == 2


@in_virtual_time
async def test_the_replys_own_echo_does_not_interrupt() -> None:
    floor = ScriptedFloor(
        text=lambda _: "is right beside the museum",
        speaking=Speaking.ALOUD,
        recent_speech="Yes, the East Garage is right beside the museum entrance.",
    )
    calls = await listen(floor, voiced(2.5) + silent(1.3))
    assert calls == ["speech at 0.0", "dismiss echo"]


@in_virtual_time
async def test_a_long_voice_interrupts_while_nobody_knows_what_it_says() -> None:
    floor = ScriptedFloor(text=lambda _: "", speaking=Speaking.ALOUD, recognition_s=5.0)
    calls = await listen(floor, voiced(2) + silent(1))
    assert calls == ["speech at 0.0", "yield", "dismiss noise"]


@in_virtual_time
async def test_who_goes_on_before_the_reply_is_heard_is_not_talked_over() -> None:
    floor = ScriptedFloor(text=lambda _: "tomorrow afternoon.", speaking=Speaking.PREPARING)
    calls = await listen(floor, voiced(0.2) + silent(1.3))
    assert calls[:2] == ["speech at 0.0", "yield"]
    assert calls[-1] == "ask"


@in_virtual_time
async def test_a_recogniser_that_fails_is_the_turns_to_tell() -> None:
    floor = ScriptedFloor(
        text=lambda _: "", error=ServiceError(Reason.RECOGNITION_UNAVAILABLE, "gone")
    )
    assert await listen(floor, voiced(1) + silent(1.3)) == ["speech at 0.0", "ask"]


@in_virtual_time
async def test_a_silent_user_is_asked_once_until_they_speak() -> None:
    floor = ScriptedFloor(text=lambda _: FINISHED)
    calls = await listen(floor, silent(10) + voiced(1) + silent(10))
    assert calls == ["prompt", "speech at 10.0", "preempt", "ask", "prompt"]


@in_virtual_time
async def test_nobody_is_prompted_while_the_digital_human_speaks() -> None:
    floor = ScriptedFloor(text=lambda _: FINISHED, speaking=Speaking.ALOUD)
    assert await listen(floor, silent(10)) == []


async def feed(microphone: TurnDetector, pcm: bytes, *, piece_s: float = 0.02) -> None:
    """Feed audio in real time, each piece when it is recorded."""
    size = byte_count(piece_s, 16_000)
    for at in range(0, len(pcm), size):
        await asyncio.sleep(piece_s)
        microphone.push(pcm[at : at + size])


def open_microphone(floor: ScriptedFloor, rules: ListeningRules = RULES) -> TurnDetector:
    return TurnDetector(
        detector=LoudnessDetector(), rules=rules, turn_end=None, floor=floor, language_code="en"
    )


@pytest.mark.parametrize("silence_s", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("piece_s", [0.02, 0.2, 0.8])
@in_virtual_time
async def test_an_utterance_whose_audio_stops_is_ended_as_by_silence(
    piece_s: float, silence_s: float
) -> None:
    floor = ScriptedFloor(text=lambda _: FINISHED)
    microphone = open_microphone(floor)
    async with microphone.running():
        await feed(microphone, voiced(1.6) + silent(silence_s), piece_s=piece_s)
        await asyncio.sleep(0.8)
        assert "ask" not in floor.calls
        await asyncio.sleep(0.4 + piece_s)
        assert floor.calls.count("ask") == 1
        [utterance] = floor.asked
        assert utterance.end_s == pytest.approx(1.6, abs=0.05)
        await asyncio.sleep(30)
    assert len(floor.asked) == 1


@in_virtual_time
async def test_what_is_said_after_a_stall_is_another_utterance() -> None:
    floor = ScriptedFloor(text=lambda _: FINISHED)
    microphone = open_microphone(floor)
    async with microphone.running():
        for _ in range(3):
            await feed(microphone, voiced(1))
            await asyncio.sleep(5)
    assert [round(each.end_s, 1) for each in floor.asked] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("piece_s", [0.4, 0.9, 1.0, 2.0])
@in_virtual_time
async def test_audio_that_comes_late_but_comes_is_one_utterance(piece_s: float) -> None:
    floor = ScriptedFloor(text=lambda _: FINISHED)
    microphone = open_microphone(floor, replace(RULES, longest_s=60.0))
    async with microphone.running():
        await feed(microphone, voiced(8), piece_s=piece_s)
        await feed(microphone, voiced(2))
        # A network that delivers nothing for most of a second, and all of that at once.
        await asyncio.sleep(0.9)
        microphone.push(voiced(0.9))
        await feed(microphone, voiced(1) + silent(2))
    [utterance] = floor.asked
    assert utterance.end_s == pytest.approx(11.9, abs=0.05)


@in_virtual_time
async def test_noise_whose_audio_stops_is_dismissed() -> None:
    floor = ScriptedFloor(text=lambda _: "", speaking=Speaking.ALOUD)
    microphone = open_microphone(floor)
    async with microphone.running():
        await feed(microphone, voiced(0.4))
        await asyncio.sleep(3)
        assert floor.calls == ["speech at 0.0", "dismiss noise"]
