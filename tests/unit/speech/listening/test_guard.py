"""Words are taken for said where something speaks for speech, whichever recogniser wrote them."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from services.speech.embedded.evidence import weigh
from services.speech.listening.guard import GuardedRecognizer, is_said
from services.speech.ports.evidence import SpeechEvidence
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.streams import once
from tests.support.sounds import SOUNDS, in_noise, over, sound

DATA = Path(__file__).parents[3] / "data"
QUESTION = "When do you open?"
WAV_HEADER = 44
LIKE_VOICES = {"plucked strings", "violin", "laughter"}
"""The detector takes these for speech as much as speech itself: words made of them are stopped
only where they are known inventions, or where the recogniser has its doubts."""


class Inventor:
    """Writes the same, whatever it hears."""

    name = "inventor"
    is_streaming = False
    detects_turn_ends = False

    def __init__(self, *texts: str, no_speech_probability: float | None = None) -> None:
        self._texts = texts
        self._no_speech_probability = no_speech_probability

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        async for _ in audio:
            pass
        for at, text in enumerate(self._texts, start=1):
            yield Transcript(
                text=text,
                is_final=at == len(self._texts),
                no_speech_probability=self._no_speech_probability,
            )


async def heard(recognizer: Inventor, pcm: bytes) -> Sequence[str]:
    guarded = GuardedRecognizer(recognizer, weigh=weigh)
    return [
        each.text
        async for each in guarded.transcribe(once(pcm), RecognitionRequest(language_codes=("en",)))
    ]


def recordings() -> list[tuple[str, bytes]]:
    """All recorded speech, short remarks among it."""
    return [
        (entry["file"], (DATA / folder / entry["file"]).read_bytes()[WAV_HEADER:])
        for folder in ("speech", "utterances")
        for entry in json.loads((DATA / folder / "manifest.json").read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("name", SOUNDS)
async def test_words_made_of_a_sound_are_not_taken(name: str) -> None:
    pcm = sound(name)
    assert await heard(Inventor("you", no_speech_probability=0.4), pcm) == [""]
    if name not in LIKE_VOICES:
        assert await heard(Inventor("I'm sorry."), pcm) == [""]
        assert await heard(Inventor(QUESTION, no_speech_probability=0.7), pcm) == [""]


async def test_speech_is_taken_clean_and_in_noise() -> None:
    refused = []
    for name, pcm in recordings()[::2]:
        hummed = over(SOUNDS["hum"](), pcm, snr_db=20)
        for heard_pcm in (pcm, hummed, in_noise(pcm, snr_db=10, tilt=1)):
            evidence = weigh(heard_pcm)
            if not all(is_said(words, evidence, None) for words in ("Yes.", "好。", "Five.")):
                refused.append((name, evidence))
    # One in a hundred, where nothing but the detector can tell.
    assert len(refused) <= 1, refused


async def test_marks_go_and_words_stay_in_every_hypothesis() -> None:
    [(_, pcm), *_] = recordings()
    inventor = Inventor("[noise]", "[laughs] When", "[laughs] When do you open?")
    assert await heard(inventor, pcm) == ["", "When", "When do you open?"]
    assert await heard(Inventor("[BLANK_AUDIO]"), pcm) == [""]
    halves = Inventor("When\0 \ud867\udf90 \ud83d", "\ufeffWhen do\x07 you open?\ude00")
    assert await heard(halves, pcm) == ["When 𩾐", "When do you open?"]


@pytest.mark.parametrize(
    ("text", "evidence", "no_speech_probability", "expected"),
    [
        (QUESTION, SpeechEvidence(peak=0.97, voiced_s=1.0, stillness=0.0), None, True),
        (QUESTION, SpeechEvidence(peak=0.85, voiced_s=1.0, stillness=0.0), None, True),
        (QUESTION, SpeechEvidence(peak=0.6, voiced_s=1.0, stillness=0.0), None, False),
        (QUESTION, SpeechEvidence(peak=0.93, voiced_s=1.0, stillness=0.5), None, False),
        (QUESTION, SpeechEvidence(peak=0.93, voiced_s=1.0, stillness=0.5), 0.3, False),
        (QUESTION, SpeechEvidence(peak=0.93, voiced_s=1.0, stillness=0.5), 0.1, True),
        (QUESTION, SpeechEvidence(peak=0.97, voiced_s=1.0, stillness=0.5), None, True),
        ("Thank you.", SpeechEvidence(peak=0.97, voiced_s=1.0, stillness=0.5), None, False),
        (QUESTION, SpeechEvidence(peak=0.97, voiced_s=0.1, stillness=0.0), None, True),
        (QUESTION * 3, SpeechEvidence(peak=0.97, voiced_s=0.1, stillness=0.0), None, False),
        ("Thank you.", SpeechEvidence(peak=0.93, voiced_s=0.5, stillness=0.0), None, False),
        ("Thank you.", SpeechEvidence(peak=0.97, voiced_s=0.5, stillness=0.0), None, True),
        ("Thank you.", SpeechEvidence(peak=0.93, voiced_s=0.5, stillness=0.0), 0.05, True),
        ("Thank you.", SpeechEvidence(peak=0.97, voiced_s=0.5, stillness=0.0), 0.4, False),
        ("Yes.", SpeechEvidence(peak=0.91, voiced_s=0.2, stillness=0.0), None, True),
        ("Yes.", SpeechEvidence(peak=0.91, voiced_s=0.2, stillness=0.0), 0.5, True),
        ("Yes.", SpeechEvidence(peak=0.85, voiced_s=0.2, stillness=0.0), 0.5, False),
    ],
)
def test_detector_and_recogniser_are_weighed_together(
    text: str, evidence: SpeechEvidence, no_speech_probability: float | None, expected: bool
) -> None:
    assert is_said(text, evidence, no_speech_probability) is expected
