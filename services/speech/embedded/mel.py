"""Whisper's log-mel spectrogram, for recognition and turn detection."""

import numpy as np
import numpy.typing as npt

from services.speech.ports.recognition import LISTENING_RATE_HERTZ

Floats = npt.NDArray[np.float32]

HOP = 160
"""Samples per frame."""

_WINDOW = 400
_BANDS = 80


def samples_from_pcm(pcm: bytes) -> Floats:
    """Return PCM16 as floats in [-1, 1); an odd last byte is dropped."""
    return np.frombuffer(pcm, dtype="<i2", count=len(pcm) // 2).astype(np.float32) / np.float32(
        32768
    )


def log_mel(samples: Floats) -> Floats:
    """Shape (80, len(samples) // 160), scaled as Whisper was trained."""
    padded = np.pad(samples, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * _HANN)) ** 2
    mel = np.log10(np.maximum(_FILTERS @ power.T.astype(np.float32), 1e-10))[:, :-1]
    mel = np.maximum(mel, mel.max() - 8)
    return np.ascontiguousarray((mel + 4) / 4, dtype=np.float32)


def _mel_filters() -> Floats:
    """Triangular filters on the Slaney mel scale, each of unit area."""
    frequencies = np.linspace(0, LISTENING_RATE_HERTZ / 2, _WINDOW // 2 + 1)
    edges = _hertz(np.linspace(0, _mel(LISTENING_RATE_HERTZ / 2), _BANDS + 2))
    widths = np.diff(edges)
    slopes = edges[:, None] - frequencies[None]
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None], dtype=np.float32)


_LOG_STEP = np.log(6.4) / 27
"""Above 1000 Hz (15 mel) the scale is logarithmic."""


def _mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else float(15 + np.log(hertz / 1000) / _LOG_STEP)


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * _LOG_STEP))


_FILTERS = _mel_filters()
_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
