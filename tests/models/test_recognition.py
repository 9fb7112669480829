"""The embedded recognizer on recordings of people and voices."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from services.speech.dialogue.other_language import other_language
from services.speech.embedded.evidence import weigh
from services.speech.listening.guard import GuardedRecognizer
from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.streams import once
from tests.models.conftest import ANSWERS, RECORDINGS, Recording, recordings_in
from tests.support.embedded import EmbeddedStack
from tests.support.sounds import SOUNDS, in_noise, sound
from tests.support.wer import (
    character_error_rate,
    edit_distance,
    normalize_characters,
    normalize_words,
    word_error_rate,
)

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

Transcribe = Callable[..., Awaitable[str]]

MANIFEST: list[dict[str, str]] = json.loads(
    (RECORDINGS / "manifest.json").read_text(encoding="utf-8")
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def transcripts(stack: EmbeddedStack, recordings: Sequence[Any]) -> Mapping[str, Transcript]:
    """What a call hears of each recording, by the name of its file."""
    return {
        recording.name: await guarded(stack, recording.pcm, recording.language_code)
        for recording in recordings
    }


def error_rate(recording: Mapping[str, str], transcript: str) -> float:
    """By words, in Chinese by characters."""
    is_chinese = recording["language_code"] == "zh"
    measure = character_error_rate if is_chinese else word_error_rate
    return measure(recording["text"], transcript)


@pytest.mark.parametrize("recording", MANIFEST, ids=lambda each: each["file"])
async def test_each_recording_is_understood(
    recording: Mapping[str, str], transcripts: Mapping[str, Transcript]
) -> None:
    """Single ones are hard: see the text of each in the manifest."""
    transcript = transcripts[recording["file"]].text
    assert error_rate(recording, transcript) <= 0.5, transcript


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_recordings_are_understood_well_on_the_whole(
    language: str, transcripts: Mapping[str, Transcript]
) -> None:
    rates = [
        error_rate(each, transcripts[each["file"]].text)
        for each in MANIFEST
        if each["language_code"] == language
    ]
    assert sum(rates) / len(rates) <= 0.12


async def test_english_word_error_rate(
    transcripts: Mapping[str, Transcript], recordings: Sequence[Any]
) -> None:
    edits = words = 0
    for recording in recordings:
        if recording.language_code == "en":
            reference = normalize_words(recording.text)
            heard = normalize_words(transcripts[recording.name].text)
            edits += edit_distance(reference, heard)
            words += len(reference)
    print(f"word error rate: {edits / words:.3f}")
    assert words > 100
    assert edits / words <= 0.08


async def test_chinese_character_error_rate(
    transcripts: Mapping[str, Transcript], recordings: Sequence[Any]
) -> None:
    edits = characters = 0
    for recording in recordings:
        if "xiaoxiao" in recording.name or "yunxi" in recording.name:
            reference = normalize_characters(recording.text)
            heard = normalize_characters(transcripts[recording.name].text)
            edits += edit_distance(reference, heard)
            characters += len(reference)
    print(f"character error rate: {edits / characters:.3f}")
    assert characters > 40
    assert edits / characters <= 0.10


async def test_more_than_a_window_is_heard_whole(
    transcribe: Transcribe, recordings: Sequence[Any]
) -> None:
    spoken = [recording for recording in recordings if recording.name.startswith("en_")]
    pcm = b"".join(recording.pcm for recording in spoken)
    assert len(pcm) > 2 * 16_000 * 40
    text = await transcribe(pcm, "en-US")
    assert word_error_rate(" ".join(recording.text for recording in spoken), text) <= 0.1


def _pcm(samples: Any) -> bytes:
    return bytes((np.asarray(samples) * 32767).astype("<i2").tobytes())


_RANDOM = np.random.default_rng(7)
_TIME = np.arange(5 * 16_000) / 16_000


@pytest.mark.parametrize(
    "pcm",
    [
        b"",
        b"\0",
        bytes(300),
        bytes(2 * 16_000 * 3),
        bytes(2 * 16_000 * 40),
        _pcm(_RANDOM.normal(0, 0.003, len(_TIME))),
        _pcm(_RANDOM.normal(0, 0.1, len(_TIME))),
        _pcm(0.3 * np.sin(2 * np.pi * 440 * _TIME)),
        _pcm(0.2 * np.sin(2 * np.pi * 50 * _TIME)),
        _pcm(np.where(_RANDOM.random(len(_TIME)) < 0.0005, 0.9, 0)),
    ],
    ids=[
        *("nothing", "one byte", "10 ms", "silence", "long silence"),
        *("hiss", "noise", "tone", "hum", "clicks"),
    ],
)
async def test_what_is_not_speech_gives_no_words(transcribe: Transcribe, pcm: bytes) -> None:
    assert await transcribe(pcm, "en-US") == ""
    assert await transcribe(pcm, "zh-CN") == ""


async def guarded(stack: EmbeddedStack, pcm: bytes, language_code: str) -> Transcript:
    """What the recognizer and the guard beside it make of an utterance."""
    recognizer = GuardedRecognizer(stack.recognizer, weigh=weigh)
    transcripts = recognizer.transcribe(
        once(pcm), RecognitionRequest(language_codes=(language_code,))
    )
    [transcript] = [each async for each in transcripts]
    return transcript


@pytest.mark.parametrize("name", SOUNDS)
async def test_no_sound_is_taken_for_words(stack: EmbeddedStack, name: str) -> None:
    language_code = "en" if list(SOUNDS).index(name) % 2 else "zh"
    assert (await guarded(stack, sound(name), language_code)).text == ""


async def test_short_answers_are_heard_in_noise(stack: EmbeddedStack) -> None:
    missed = []
    for answer in recordings_in(ANSWERS):
        noisy = in_noise(answer.pcm, snr_db=15)
        if not (await guarded(stack, noisy, answer.language_code)).text:
            missed.append(answer.text)
    assert missed == []


async def test_another_language_is_told_and_written_down(
    stack: EmbeddedStack, recordings: Sequence[Any], transcripts: Mapping[str, Transcript]
) -> None:
    for recording in [each for each in recordings if "kokoro" in each.name][::3]:
        other = "zh" if recording.language_code == "en" else "en"
        transcript = await guarded(stack, recording.pcm, other)
        assert transcript.language_code == recording.language_code, recording.name
        assert other_language(transcript, other) == recording.language_code
        as_asked = transcripts[recording.name]
        assert transcript == as_asked
        assert other_language(as_asked, recording.language_code) == ""


async def test_another_language_is_heard(
    transcribe: Transcribe, recordings: Sequence[Recording]
) -> None:
    english = next(each for each in recordings if each.language_code == "en")
    assert await transcribe(english.pcm, "de-DE")


async def test_an_unknown_language_is_refused(transcribe: Transcribe) -> None:
    with pytest.raises(ProviderError, match="'tlh-KX'") as caught:
        await transcribe(bytes(32_000), "tlh-KX")
    assert not caught.value.transient
