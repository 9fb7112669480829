"""A mark is silent for as long as it asks, and what is said after it comes so much later."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from services.speech.embedded.kokoro import SAMPLE_RATE_HERTZ, TimedAudio
from services.speech.embedded.pauses import AUDIBLE, with_pauses
from services.speech.embedded.pronunciation import Sound

PAUSE_S = 0.25
SOUNDS = (
    Sound(phonemes="ab", start=0, end=1),
    Sound(phonemes=", ", start=0, end=0, pause_s=PAUSE_S),
    Sound(phonemes="cd", start=2, end=3),
    Sound(phonemes="; ", start=0, end=0, pause_s=PAUSE_S),
    Sound(phonemes="ef", start=4, end=5),
)
SYMBOL_S = 0.1


def utterance(*, silent_s: float) -> TimedAudio:
    """A tone for each word, with so much silence in the middle of each mark."""
    edges_s = np.arange(11, dtype=np.float64) * SYMBOL_S
    time_s = np.arange(round(edges_s[-1] * SAMPLE_RATE_HERTZ)) / SAMPLE_RATE_HERTZ
    samples = 0.5 * np.sin(2 * np.pi * 200 * time_s).astype(np.float32)
    for middle_s in (0.3, 0.7):
        samples[np.abs(time_s - middle_s) < silent_s / 2] = 0
    return TimedAudio(samples=samples, edges_s=edges_s)


def silences_s(samples: npt.NDArray[np.float32]) -> list[float]:
    """How long it is silent, where that is longer than between two waves of the tone."""
    gaps = np.diff(np.flatnonzero(np.abs(samples) > AUDIBLE)) / SAMPLE_RATE_HERTZ
    return [float(gap) for gap in gaps if gap > 0.02]


@pytest.mark.parametrize("silent_s", [0.0, 0.03, 0.12, 0.2])
def test_a_mark_is_silent_for_its_pause(silent_s: float) -> None:
    paused = with_pauses(SOUNDS, utterance(silent_s=silent_s))
    # The fades are a little more silence.
    assert silences_s(paused.samples) == pytest.approx([PAUSE_S, PAUSE_S], abs=0.01)


@pytest.mark.parametrize("silent_s", [0.0, 0.12])
def test_words_after_a_mark_come_later_by_what_was_put_in(silent_s: float) -> None:
    before = utterance(silent_s=silent_s)
    paused = with_pauses(SOUNDS, before)
    added_s = (len(paused.samples) - len(before.samples)) / SAMPLE_RATE_HERTZ
    later_s = paused.edges_s - before.edges_s
    assert list(later_s[:3]) == [0, 0, 0]
    assert later_s[4] > 0.1
    assert later_s[4:7] == pytest.approx(later_s[4])
    assert later_s[8:] == pytest.approx(added_s)
    for index in (4, 8):  # a word sounds when its time says
        was, now = (
            each.samples[round((each.edges_s[index] + SYMBOL_S / 2) * SAMPLE_RATE_HERTZ) :][:100]
            for each in (before, paused)
        )
        assert now == pytest.approx(was)


def test_a_pause_of_the_voice_itself_stays() -> None:
    before = utterance(silent_s=PAUSE_S + 0.05)
    paused = with_pauses(SOUNDS, before)
    assert np.array_equal(paused.samples, before.samples)
    assert np.array_equal(paused.edges_s, before.edges_s)


def test_a_mark_that_asks_for_none_gets_none() -> None:
    before = utterance(silent_s=0)
    paused = with_pauses([replace(sound, pause_s=0.0) for sound in SOUNDS], before)
    assert np.array_equal(paused.samples, before.samples)
