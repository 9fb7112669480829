"""The voice model: phonemes to audio, and when each phoneme is heard."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.speech.embedded.inference import RunOptions, open_session
from services.speech.embedded.mel import Floats

SAMPLE_RATE_HERTZ = 24_000
MOST_SYMBOLS = 510
"""The longest phoneme string that the model takes."""

_STYLE_SHAPE = (MOST_SYMBOLS, 256)
_SAMPLES_PER_UNIT = 600
"""Durations come in units of 25 ms."""

_UNITS_EARLY = 2
"""How early a phoneme sounds, measured at the onset of a voice after a pause."""

_DURATIONS = "/encoder/Clip_output_0"
"""The model's internal tensor of one duration per symbol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAudio:
    """Audio at 24 kHz; phoneme i is heard in seconds [edges_s[i], edges_s[i + 1])."""

    samples: Floats
    edges_s: npt.NDArray[np.float64]


class KokoroModel:
    """Kokoro-82M, with blocking calls."""

    def __init__(self, path: Path, *, vocabulary: Path, threads: int) -> None:
        """Load the ONNX file and the phoneme vocabulary."""
        self._session = open_session(path.read_bytes() + _extra_output(_DURATIONS), threads=threads)
        symbols: dict[str, int] = json.loads(vocabulary.read_text(encoding="utf-8"))["vocab"]
        self._symbols = symbols

    def keep_known(self, phonemes: str) -> str:
        """Return the phonemes that the model has a symbol for."""
        return "".join(phoneme for phoneme in phonemes if phoneme in self._symbols)

    def speak(self, phonemes: str, style: Floats, options: RunOptions) -> TimedAudio:
        """Speak 1 to 510 known phonemes; raises if `options.terminate` is set meanwhile."""
        symbols = [self._symbols[phoneme] for phoneme in phonemes]
        samples, durations = self._session.run(
            None,
            {
                "tokens": np.array([[0, *symbols, 0]], np.int64),
                # The style depends on the length of the phoneme string.
                "style": style[len(symbols) - 1][None],
                "speed": np.ones(1, np.float32),
            },
            options,
        )
        units = np.maximum(np.cumsum(durations.ravel()[:-1]) - _UNITS_EARLY, 0)
        edges = units * _SAMPLES_PER_UNIT / SAMPLE_RATE_HERTZ
        return TimedAudio(samples=samples.ravel(), edges_s=edges.astype(np.float64))


def load_style(path: Path) -> Floats:
    """Load a voice: shape (510, 256)."""
    return np.fromfile(path, dtype="<f4").reshape(_STYLE_SHAPE)


def _extra_output(name: str) -> bytes:
    """Return bytes that, appended to an ONNX model, make it also output an internal float tensor.

    Protobuf merges repeated fields of concatenated messages: this is ModelProto.graph (7)
    .output (12) with .name (1) and .type (2) .tensor_type (1) .elem_type (1) = FLOAT (1).
    """
    kind = _field(2, _field(1, bytes([1 << 3, 1])))
    return _field(7, _field(12, _field(1, name.encode()) + kind))


def _field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited protobuf field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(payload)]) + payload
