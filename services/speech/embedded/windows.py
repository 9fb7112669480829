"""Which stretches of a recording to decode: voiced ones, no longer than the model decodes well."""

from collections.abc import Iterator

import numpy as np

from services.speech.embedded.detector import FRAME_SAMPLES, EarshotDetector
from services.speech.embedded.mel import Floats, samples_from_pcm
from services.speech.ports.recognition import LISTENING_RATE_HERTZ

_VOICED = 0.5
_SHORTEST_SPEECH_S = 0.08
"""Less voice than this is a click or a breath, for which the model would invent words."""

_MARGIN = round(0.5 * LISTENING_RATE_HERTZ)
"""Kept before and after the voice, as soft consonants do not count as voiced."""

_LONGEST = 26 * LISTENING_RATE_HERTZ
"""The model's context is 30 s, and it needs 4 s after the speech to end its text."""

_EARLIEST_CUT = 16 * LISTENING_RATE_HERTZ
_QUIET_SPOT = round(0.2 * LISTENING_RATE_HERTZ)


def speech_windows(pcm: bytes) -> list[Floats]:
    """Return the voiced parts of a recording, of at most 26 s each; none if nobody speaks."""
    samples = samples_from_pcm(pcm)
    return [
        window[span]
        for window in _split(samples)
        if (span := voiced_span(window, least_s=_SHORTEST_SPEECH_S)) is not None
    ]


def _split(samples: Floats) -> Iterator[Floats]:
    """Cut a long recording at its quietest spots."""
    while len(samples) > _LONGEST:
        cut = _EARLIEST_CUT + _quietest(samples[_EARLIEST_CUT:_LONGEST])
        yield samples[:cut]
        samples = samples[cut:]
    yield samples


def _quietest(samples: Floats) -> int:
    """Return the middle of the quietest spot."""
    energy = np.cumsum(np.square(samples, dtype=np.float64))
    return int(np.argmin(energy[_QUIET_SPOT:] - energy[:-_QUIET_SPOT])) + _QUIET_SPOT // 2


def voiced_span(samples: Floats, *, least_s: float) -> slice | None:
    """Return the span of the voice with some margin; None if there is less than `least_s`."""
    pcm = (samples * 32768).astype("<i2")
    whole = len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES
    detector = EarshotDetector()
    voiced = [
        index
        for index, frame in enumerate(pcm[:whole].reshape(-1, FRAME_SAMPLES))
        if detector.speech_probability(frame.tobytes()) >= _VOICED
    ]
    if len(voiced) * FRAME_SAMPLES < least_s * LISTENING_RATE_HERTZ or not voiced:
        return None
    start = max(0, voiced[0] * FRAME_SAMPLES - _MARGIN)
    return slice(start, (voiced[-1] + 1) * FRAME_SAMPLES + _MARGIN)
