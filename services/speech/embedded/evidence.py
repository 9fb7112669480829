"""Evidence of speech in an utterance: the voice detector, and how much the spectrum moves."""

import numpy as np

from services.speech.embedded.detector import FRAME_SAMPLES, EarshotDetector
from services.speech.embedded.mel import HOP, Floats, log_mel, samples_from_pcm
from services.speech.ports.evidence import SpeechEvidence
from services.speech.ports.recognition import LISTENING_RATE_HERTZ

_VOICED = 0.35
_PEAK_FRAMES = 8
"""The detector is as sure of a click as of a vowel, but not for an eighth of a second."""

_SMOOTHED = 7
_APART = 6
_LEAST_PAIRS = 3
_STILL = 0.15
"""Two spectra whose standard deviation, in powers of ten, is lower are the same."""


def weigh(pcm: bytes) -> SpeechEvidence:
    """Weigh an utterance of 16 kHz PCM16; takes about a hundredth of its duration."""
    whole = len(pcm) // (2 * FRAME_SAMPLES) * FRAME_SAMPLES
    detector = EarshotDetector()
    frames = np.frombuffer(pcm, "<i2", count=whole).reshape(-1, FRAME_SAMPLES)
    likely = np.array([detector.speech_probability(frame.tobytes()) for frame in frames])
    if not len(likely):
        return SpeechEvidence(peak=0.0, voiced_s=0.0, stillness=0.0)
    is_voiced = likely >= _VOICED
    return SpeechEvidence(
        peak=float(np.sort(likely)[-_PEAK_FRAMES:].mean()),
        voiced_s=int(is_voiced.sum()) * FRAME_SAMPLES / LISTENING_RATE_HERTZ,
        stillness=_stillness(samples_from_pcm(pcm[: 2 * whole]), is_voiced),
    )


def _stillness(samples: Floats, is_voiced: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """Return the share of 96 ms spans, voiced at both ends, without a change in the spectrum."""
    # Whisper's scale is a quarter of a power of ten.
    mel = np.lib.stride_tricks.sliding_window_view(
        np.pad(4 * log_mel(samples), ((0, 0), (_SMOOTHED // 2, _SMOOTHED // 2)), mode="edge"),
        _SMOOTHED,
        axis=1,
    ).mean(axis=2)
    shape = mel - mel.mean(axis=0)
    at = np.arange(len(is_voiced)) * FRAME_SAMPLES // HOP
    first = np.flatnonzero(is_voiced[:-_APART] & is_voiced[_APART:])
    if len(first) < _LEAST_PAIRS:
        return 0.0
    change = shape[:, at[first]] - shape[:, at[first + _APART]]
    return float((np.sqrt(np.square(change).mean(axis=0)) < _STILL).mean())
