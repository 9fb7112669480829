"""Silence at a mark that the voice glides over."""

import itertools
from collections.abc import Sequence

import numpy as np

from services.speech.embedded.kokoro import SAMPLE_RATE_HERTZ, TimedAudio
from services.speech.embedded.mel import Floats
from services.speech.embedded.pronunciation import Sound

AUDIBLE = 0.01
"""A sample below this is silence."""

_AROUND = round(0.05 * SAMPLE_RATE_HERTZ)
"""How far from a mark's own time its quietest spot may lie: the times are rough."""

_SPOT = round(0.02 * SAMPLE_RATE_HERTZ)
_FADE = round(0.01 * SAMPLE_RATE_HERTZ)
"""Sound that is cut without a fade clicks."""


def with_pauses(sounds: Sequence[Sound], utterance: TimedAudio) -> TimedAudio:
    """Lengthen the silence at each mark to the mark's pause; what is said after it moves along."""
    samples = utterance.samples.copy()
    edges_s = utterance.edges_s.copy()
    parts: list[Floats] = []
    done = 0
    for sound, end in zip(
        sounds, itertools.accumulate(len(sound.phonemes) for sound in sounds), strict=True
    ):
        if not sound.pause_s:
            continue
        start_s, end_s = utterance.edges_s[[end - len(sound.phonemes), end]]
        cut = max(done, _quietest(utterance.samples, start_s, end_s))
        missing = round(sound.pause_s * SAMPLE_RATE_HERTZ) - _silence(utterance.samples, cut)
        if missing > 0:
            _fade(samples, cut)
            parts += [samples[done:cut], np.zeros(missing, np.float32)]
            edges_s[end:] += missing / SAMPLE_RATE_HERTZ
            done = cut
    return TimedAudio(samples=np.concatenate([*parts, samples[done:]]), edges_s=edges_s)


def _quietest(samples: Floats, start_s: float, end_s: float) -> int:
    """The middle of the quietest spot near a stretch of time."""
    first = max(0, round(start_s * SAMPLE_RATE_HERTZ) - _AROUND)
    near = samples[first : round(end_s * SAMPLE_RATE_HERTZ) + _AROUND]
    if len(near) <= _SPOT:
        return min(first, len(samples))
    energy = np.cumsum(np.square(near, dtype=np.float64))
    return first + int(np.argmin(energy[_SPOT:] - energy[:-_SPOT])) + _SPOT // 2


def _silence(samples: Floats, at: int) -> int:
    """How many samples around a place are silent."""
    audible = np.flatnonzero(np.abs(samples) > AUDIBLE)
    index = int(np.searchsorted(audible, at))
    start = int(audible[index - 1]) + 1 if index > 0 else 0
    stop = int(audible[index]) if index < len(audible) else len(samples)
    return stop - start


def _fade(samples: Floats, cut: int) -> None:
    """Let the sound fade out before a place and come in after it."""
    before, after = samples[max(0, cut - _FADE) : cut], samples[cut : cut + _FADE]
    before *= np.linspace(1, 0, len(before), dtype=np.float32)
    after *= np.linspace(0, 1, len(after), dtype=np.float32)
