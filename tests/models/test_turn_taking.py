"""Whose turn it is, with the real models: over recordings, and mixes of them with noise and pauses.

Time is counted in samples: whenever the models are at work, the audio waits for them. What the
recognizer hears in each utterance is recorded, by `pytest tests/models/test_turn_taking.py
--record`; one test hears some of it itself, and with --thorough all do.
"""

import asyncio
import json
import math
import statistics
import wave
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from services.speech.embedded.library import RECOGNITION_MODEL
from services.speech.embedded.store import ModelStore
from services.speech.listening.detector import Utterance
from services.speech.listening.hearing import Hearing, OnHypothesis, RepeatedHearing
from services.speech.listening.interruption import UtteranceKind
from services.speech.listening.recognition import recognise
from services.speech.listening.rules import ListeningRules
from services.speech.listening.turn_detector import Speaking, TurnDetector
from services.speech.ports.recognition import RecognitionRequest, Transcript
from tests.models.conftest import Recording
from tests.support.embedded import EmbeddedStack
from tests.support.recalled import hearing_anew, recalling

T = TypeVar("T")

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

RATE = 16_000
DATA = Path(__file__).parents[1] / "data"
UTTERANCES = DATA / "utterances"
HEARD = DATA / "heard" / "turn_taking.json"
NOISE_DB = -55.0
"""Of full scale: a quiet room."""
PAUSE_S = 0.7

UNFINISHED = {
    "en_kokoro_am_michael_0.wav": 0.35,  # What time does the
    "en_kokoro_af_heart_2.wav": 0.35,  # Can you tell me how much the
    "en_kokoro_am_michael_6.wav": 0.35,  # How do I reset my
    "en_kokoro_af_heart_8.wav": 0.35,  # I am feeling a bit
    "en_kokoro_am_michael_10.wav": 0.6,  # Is there a parking lot near the
    "en_kokoro_am_puck_11.wav": 0.6,  # Thank you so much. That was
    "librivox_0870.wav": 0.6,  # … leisure to consider how much
    "librivox_0920.wav": 0.35,  # Had he married a more amiable woman
    "zh_kokoro_zf_xiaoxiao_0.wav": 0.35,  # 今天的
    "zh_kokoro_zm_yunxi_1.wav": 0.6,  # 请问你们
    "zh_kokoro_zf_xiaoxiao_7.wav": 0.35,  # 给我讲一个小
    "zh_kokoro_zm_yunxi_8.wav": 0.6,  # 博物馆附近
}
"""Where, as a share of the speech, a recording is cut in two in the middle of its sentence."""


VOICES = {
    "en_kokoro_af_heart_2.wav",
    "en_kokoro_am_michael_4.wav",
    "en_kokoro_bf_emma_3.wav",
    "zh_kokoro_zf_xiaoxiao_7.wav",
    "zh_kokoro_zm_yunxi_4.wav",
}
"""Recordings of voices that replies are spoken in."""


@pytest.fixture(scope="module")
def recalled(
    stack: EmbeddedStack, store: ModelStore, is_thorough: bool, request: pytest.FixtureRequest
) -> Iterator[EmbeddedStack]:
    """The models, of which the recognizer recalls what it once heard here."""
    if is_thorough:
        yield stack
        return
    model = " ".join(file.sha256[:16] for file in store.manifest[RECOGNITION_MODEL].files)
    if not request.config.getoption("record"):
        yield replace(stack, recognizer=recalling(stack.recognizer, HEARD, model=model))
        return
    with hearing_anew(stack.recognizer, HEARD, model=model, request=request) as recognizer:
        yield replace(stack, recognizer=recognizer)


def noise(seconds: float, *, seed: int = 1) -> np.ndarray:
    """A quiet room."""
    random = np.random.default_rng(seed)
    return random.normal(0, 32768 * 10 ** (NOISE_DB / 20), int(seconds * RATE))


def in_noise(*parts: np.ndarray) -> bytes:
    """Parts one after the other, in a quiet room."""
    samples = np.concatenate(parts)
    mixed = samples + noise(len(samples) / RATE + 1)[: len(samples)]
    return np.clip(mixed, -32768, 32767).astype("<i2").tobytes()


def samples_of(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


@dataclass(slots=True, kw_only=True)
class ModelFloor:
    """Recognises for real, and notes what it is told and when, in seconds of audio."""

    stack: EmbeddedStack
    language_code: str
    speaking: Speaking = Speaking.SILENT
    recent_speech: str = ""
    at_s: float = 0.0
    busy: set["asyncio.Task[object]"] = field(default_factory=set)
    asked_at_s: list[float] = field(default_factory=list)
    utterances: list[Utterance] = field(default_factory=list)
    yielded_at_s: list[float] = field(default_factory=list)
    dismissed: list[tuple[UtteranceKind, str]] = field(default_factory=list)

    async def recognise(self, pcm: bytes) -> Transcript:
        request = RecognitionRequest(language_codes=(self.language_code,))
        return await self._while_busy(recognise(self.stack.recognizer, pcm, request))

    async def completion_probability(self, pcm: bytes) -> float:
        return await self._while_busy(self.stack.turn_end.completion_probability(pcm))

    async def _while_busy(self, work: Awaitable[T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self.busy.add(task)
        try:
            return await work
        finally:
            self.busy.discard(task)

    def open_hearing(self, on_hypothesis: OnHypothesis, first_s: float) -> Hearing:
        """Hear it by repeated recognition: while nothing is said, only at its pauses.

        What is heard in between could then only be shown, and costs most of the time.
        """
        is_aside = self.speaking is Speaking.ALOUD
        return RepeatedHearing(
            self.recognise,
            on_hypothesis,
            first_s=first_s if is_aside else math.inf,
            clock=lambda: self.at_s,
        )

    def note_words(self, transcript: Transcript) -> None: ...

    def note_speech(self, start_s: float) -> None:
        pass

    def preempt(self, transcript: Transcript) -> None:
        pass

    def withdraw_preemptive_reply(self) -> None:
        pass

    def yield_floor(self) -> None:
        self.yielded_at_s.append(self.at_s)
        self.speaking = Speaking.SILENT

    def ask(self, utterance: Utterance, transcript: "asyncio.Task[Transcript]") -> None:
        self.asked_at_s.append(self.at_s)
        self.utterances.append(utterance)

    async def dismiss(self, kind: UtteranceKind, text: str) -> None:
        self.dismissed.append((kind, text))

    def prompt(self) -> None:
        pass

    def is_cut(self) -> bool:
        """Whether the user's voice ended the reply."""
        return bool(self.yielded_at_s or self.asked_at_s)

    async def listen(self, pcm: bytes, *, until: Callable[[], bool] = lambda: False) -> None:
        """Feed audio in messages of 20 ms, `until` the rest is of no matter.

        After each it waits for the models.
        """
        microphone = TurnDetector(
            detector=self.stack.make_detector(),
            # On a busy machine the models take longer than audio may stay away.
            rules=ListeningRules(stalled_s=0),
            turn_end=self,
            floor=self,
            language_code=self.language_code,
        )
        async with microphone.running():
            for at in range(0, len(pcm), 640):
                microphone.push(pcm[at : at + 640])
                self.at_s = at / 2 / RATE
                await asyncio.sleep(0)
                while self.busy:
                    await asyncio.wait(set(self.busy))
                    await asyncio.sleep(0)
                if until():
                    break


def utterances(kind: str) -> list[tuple[str, bytes, str]]:
    """Short things that users say, spoken by synthetic voices: text, PCM, language."""
    found = []
    for entry in json.loads((UTTERANCES / "manifest.json").read_text(encoding="utf-8")):
        if entry["kind"] == kind:
            with wave.open(str(UTTERANCES / entry["file"])) as file:
                pcm = file.readframes(file.getnframes())
            found.append((entry["text"], pcm, entry["language_code"]))
    return found


async def test_finished_sentences_are_answered_soon(
    recalled: EmbeddedStack, recordings: Sequence[Recording]
) -> None:
    delays_s = []
    for recording in recordings:
        floor = ModelFloor(stack=recalled, language_code=recording.language_code)
        await floor.listen(in_noise(noise(0.3), samples_of(recording.pcm), noise(1.6)))
        assert floor.utterances, recording.name
        delays_s.append(floor.asked_at_s[-1] - floor.utterances[-1].end_s)
    assert statistics.median(delays_s) <= 0.4
    assert max(delays_s) <= 1.3


async def test_a_pause_in_an_unfinished_sentence_is_waited_for(
    recalled: EmbeddedStack, recordings: Sequence[Recording]
) -> None:
    by_name = {recording.name: recording for recording in recordings}
    for name, share in UNFINISHED.items():
        recording = by_name[name]
        before, after = _halves(recalled, samples_of(recording.pcm), share)
        floor = ModelFloor(stack=recalled, language_code=recording.language_code)
        await floor.listen(in_noise(noise(0.3), before, noise(PAUSE_S), after, noise(1.6)))
        resumed_s = 0.3 + len(before) / RATE + PAUSE_S
        assert min(floor.asked_at_s) > resumed_s, name


async def interrupting_with(stack: EmbeddedStack, pcm: bytes, language_code: str) -> ModelFloor:
    """Say something while a reply is heard."""
    floor = ModelFloor(
        stack=stack,
        language_code=language_code,
        speaking=Speaking.ALOUD,
        recent_speech="The East Garage is right beside the museum entrance.",
    )
    mixed = in_noise(noise(0.5), samples_of(pcm), noise(1.6))
    await floor.listen(mixed, until=floor.is_cut)
    return floor


async def test_a_backchannel_does_not_interrupt_and_an_objection_does(
    recalled: EmbeddedStack,
) -> None:
    interrupted: dict[str, Any] = {}
    for kind in ("backchannel", "interruption"):
        for text, pcm, language_code in utterances(kind):
            floor = await interrupting_with(recalled, pcm, language_code)
            interrupted.setdefault(kind, []).append((text, floor.is_cut(), floor.dismissed))
    assert [each for each in interrupted["backchannel"] if each[1]] == []
    assert [each for each in interrupted["interruption"] if not each[1]] == []
    assert {kind: len(each) for kind, each in interrupted.items()} == {
        "backchannel": 20,
        "interruption": 20,
    }


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("kind", "is_cut"), [("backchannel", False), ("interruption", True)])
async def test_backchannels_and_objections_heard_live(
    stack: EmbeddedStack, kind: str, is_cut: bool, language: str
) -> None:
    text, pcm = next(each[:2] for each in utterances(kind) if each[2] == language)
    assert (await interrupting_with(stack, pcm, language)).is_cut() is is_cut, text


async def test_the_replys_own_sound_is_not_answered_and_hardly_ever_cuts_it_off(
    recalled: EmbeddedStack, recordings: Sequence[Recording]
) -> None:
    voices = [recording for recording in recordings if recording.name in VOICES]
    cut_off = []
    for recording in voices:
        floor = ModelFloor(
            stack=recalled,
            language_code=recording.language_code,
            speaking=Speaking.ALOUD,
            recent_speech=recording.text,
        )
        quiet = samples_of(recording.pcm) * 0.3
        await floor.listen(in_noise(noise(0.5), quiet, noise(1.6)))
        assert not floor.asked_at_s, recording.name
        assert {kind for kind, _ in floor.dismissed} == {UtteranceKind.ECHO}, recording.name
        cut_off += [recording.name] if floor.yielded_at_s else []
    # It would be taken up again; one syllable misheard may do that.
    assert len(cut_off) <= 1, cut_off


def _halves(
    stack: EmbeddedStack, samples: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cut at the quietest place near a share of the speech, and drop the silence around it."""
    detector = stack.make_detector()
    pcm = samples.astype("<i2").tobytes()
    voiced = np.array(
        [
            at // 2
            for at in range(0, len(pcm) - 511, 512)
            if detector.speech_probability(pcm[at : at + 512]) > 0.35
        ]
    )
    middle = int(voiced[0] + (voiced[-1] + 256 - voiced[0]) * share)
    loudness = np.convolve(np.abs(samples), np.ones(800) / 800, "same")
    cut = middle - 4000 + int(np.argmin(loudness[middle - 4000 : middle + 4000]))
    return samples[: voiced[voiced < cut][-1] + 256], samples[voiced[voiced >= cut][0] :]
