"""Streaming lip-sync: speech in, the shape of the mouth every 10 ms out, 46 ms behind."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.face.pose import Weights

Floats = NDArray[np.float32]

ASSETS = Path(__file__).parent.parent / "assets" / "lips"
SPEECH_RATE = 16_000
HOP = 160
HOP_S = HOP / SPEECH_RATE
WINDOW = 512
# Frames that the network sees before and after the one it describes.
CONTEXT = 3

BANDS = 26
CEPSTRAL_BANDS = 40
CEPSTRA = 12
PRE_EMPHASIS = 0.95
# A sound this far below the recent maximum, in log power, is silence; above the ramp it is speech.
GATE_FLOOR = 7.5
GATE_RAMP = 3.5
PEAK_DECAY = 0.004
PEAK_AT_START = -2.0
SPEECH_RANGE = 8.0
MEAN_RATE = 0.02
FEATURE_SCALE = 2.5

# The phone prototypes, by their visemes: how round each makes the lips.
VISEMES = ("aa", "E", "I", "O", "U", "PP", "SS", "TH", "DD", "FF", "kk", "nn", "RR", "CH", "sil")
ROUNDNESS = (-0.15, -0.65, -0.95, 0.7, 1.0, 0, -0.45, -0.2, -0.25, 0, -0.15, -0.25, 0.45, 0.6, 0)
# Weights of the visemes that have a mouth of their own; closed lips come from the network.
CONSONANT_VISEMES = (("FF", 0.8), ("TH", 0.4), ("SS", 0.8), ("CH", 0.7))
RECORD_BYTES = 368
RECORD_HEAD_BYTES = 8
MAX_CONSONANTS = 0.9


class MouthShape(NamedTuple):
    """The mouth at `at_s` seconds into the speech; see `Pose` for the units."""

    at_s: float
    opening: float
    rounding: float
    consonants: Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One hidden layer: log-mel frames in, opening, rounding, closure and lip-teeth out."""

    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: Floats

    def __call__(self, features: Floats) -> Floats:
        hidden = np.maximum(0.0, features @ self.hidden + self.hidden_bias)
        told: Floats = hidden @ self.output + self.output_bias
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototypes:
    """Phones as Gaussians over cepstra, whitened, and what the visemes of each do to the lips."""

    whitening: Floats
    offset: Floats
    hints: Floats

    def __call__(self, cepstra: Floats) -> Floats:
        """Return how round the lips are in each frame, and how much they form a consonant."""
        distances = (cepstra @ self.whitening - self.offset).reshape(len(cepstra), -1, CEPSTRA)
        squared = np.einsum("nkj,nkj->nk", distances, distances)
        likeness = np.exp(-0.25 * (squared - squared.min(1, keepdims=True)))
        sums = likeness @ self.hints
        hints: Floats = sums[:, :-1] / sums[:, -1:]
        return hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """What all lip readers share: filters and both models."""

    window: Floats
    filters: Floats
    floors: Floats
    cosines: Floats
    network: Network
    prototypes: Prototypes

    def analyse(self, windows: Floats) -> tuple[Floats, Floats]:
        """Return log-mel bands of pre-emphasised windows, and what the prototypes make of them."""
        # Real and imaginary parts side by side, as the filters have every bin twice.
        spectrum = np.fft.rfft(windows * self.window).view(np.float32)
        logs = np.log((spectrum * spectrum) @ self.filters + self.floors)
        return logs[:, :BANDS], self.prototypes(np.tanh(logs[:, BANDS:] @ self.cosines))


class LipReader:
    """Reads one piece of speech; each piece needs a new reader.

    It receives little at a time, so calls cost more than what they compute: arrays are used only in
    the models, whose results per frame are plain numbers.
    """

    def __init__(self) -> None:
        self._ear = load_ear()
        # Half a window of silence, so that frame n is centred on sample n * HOP.
        self._emphasised = np.zeros(WINDOW // 2, np.float32)
        self._last_sample = 0.0
        self._peak = PEAK_AT_START
        self._mean: Floats | None = None
        self._features = np.zeros((0, BANDS), np.float32)
        self._hints: list[list[float]] = []
        self._levels: list[float] = []
        self._frames_read = 0

    def read(self, samples: Floats) -> list[MouthShape]:
        """Return the shapes that more 16 kHz samples, from -1 to 1, make known, in order."""
        if len(samples):
            self._take(samples)
        count = (len(self._emphasised) - WINDOW) // HOP + 1
        if count < 1:
            return []
        bands, hints = self._ear.analyse(_slide(self._emphasised, count, WINDOW, HOP))
        self._emphasised = self._emphasised[count * HOP :].copy()
        self._append(bands, hints)
        return self._shape()

    def _take(self, samples: Floats) -> None:
        emphasised = samples.copy()
        emphasised[0] -= PRE_EMPHASIS * self._last_sample
        emphasised[1:] -= PRE_EMPHASIS * samples[:-1]
        self._last_sample = float(samples[-1])
        self._emphasised = np.concatenate([self._emphasised, emphasised])

    def _append(self, bands: Floats, hints: Floats) -> None:
        levels: list[float] = bands.max(1).tolist()
        self._peak = max(self._peak - PEAK_DECAY * len(levels), *levels)
        if self._mean is None:
            self._mean = np.linspace(-4.5, -5.5, BANDS).astype(np.float32) + (self._peak + 1.0)
        voiced = [at for at, level in enumerate(levels) if level > self._peak - SPEECH_RANGE]
        if voiced:
            rate = 1.0 - (1.0 - MEAN_RATE) ** len(voiced)
            self._mean = self._mean + rate * (bands[voiced].mean(0) - self._mean)
        features = (bands - self._mean) / FEATURE_SCALE
        before = self._features if len(self._features) else features[[0] * CONTEXT]
        self._features = np.concatenate([before, features])
        self._hints += hints.tolist()
        self._levels += levels

    def _shape(self) -> list[MouthShape]:
        count = len(self._features) - 2 * CONTEXT
        if count < 1:
            return []
        seen = _slide(self._features.reshape(-1), count, (2 * CONTEXT + 1) * BANDS, BANDS)
        told = self._ear.network(seen)
        shapes = [
            self._form(number, *each)
            for number, each in enumerate(
                zip(self._levels[:count], self._hints[:count], told.tolist(), strict=True)
            )
        ]
        self._frames_read += count
        self._features = self._features[count:]
        del self._hints[:count], self._levels[:count]
        return shapes

    def _form(self, number: int, level: float, hints: list[float], told: list[float]) -> MouthShape:
        gate = _clip((level - (self._peak - GATE_FLOOR)) / GATE_RAMP)
        opening, rounding, closure = told[:3]
        rounder, lip_teeth, tongue_teeth, hissing, hushing = hints
        closed = _clip((closure - 0.25) * 2.0) * gate
        total = closed + lip_teeth + tongue_teeth + hissing + hushing
        share = MAX_CONSONANTS / max(MAX_CONSONANTS, total)
        return MouthShape(
            (self._frames_read + number) * HOP_S,
            _clip(opening * 1.15) * gate,
            _clip(0.8 * rounding + 0.5 * rounder, -1.0) * min(1.0, gate * 1.3),
            (
                closed * share,
                lip_teeth * share,
                tongue_teeth * share,
                hissing * share,
                hushing * share,
            ),
        )


def _clip(value: float, lowest: float = 0.0) -> float:
    return min(1.0, max(lowest, value))


def _slide(values: Floats, count: int, width: int, step: int) -> Floats:
    """Return overlapping rows of a width, each a step after the previous one, without copying."""
    size = values.itemsize
    return np.ndarray((count, width), np.float32, values, strides=(step * size, size))


@cache
def load_ear() -> Ear:
    """Return the models and filters, read once per process."""
    with np.load(ASSETS / "lip_mlp.npz") as weights:
        network = Network(
            hidden=weights["W1"],
            hidden_bias=weights["b1"],
            output=weights["W2"],
            output_bias=weights["b2"],
        )
    cepstral = np.pad(_cepstral_filters(), ((0, 0), (0, 1))) / WINDOW
    filters = np.vstack([_mel_filters(), cepstral]).T.repeat(2, axis=0)
    return Ear(
        window=np.hanning(WINDOW).astype(np.float32),
        filters=np.ascontiguousarray(filters, np.float32),
        floors=np.repeat([1e-6, 1e-10], [BANDS, CEPSTRAL_BANDS]).astype(np.float32),
        # The cosines are meant for decimal logarithms.
        cosines=_liftered_cosines() / np.float32(np.log(10)),
        network=network,
        prototypes=_read_prototypes(ASSETS / "headaudio_model-en-mixed.bin"),
    )


def _read_prototypes(path: Path) -> Prototypes:
    # A record: name and viseme of a phone, mean, and the lower half of the inverse covariance.
    data = path.read_bytes()
    records = [data[at : at + RECORD_BYTES] for at in range(0, len(data), RECORD_BYTES)]
    numbers = np.stack([np.frombuffer(record[RECORD_HEAD_BYTES:], "<f4") for record in records])
    means = numbers[:, :CEPSTRA]
    rows, columns = np.tril_indices(CEPSTRA)
    precisions = np.zeros((len(records), CEPSTRA, CEPSTRA))
    precisions[:, rows, columns] = numbers[:, CEPSTRA : CEPSTRA + len(rows)]
    precisions[:, columns, rows] = numbers[:, CEPSTRA : CEPSTRA + len(rows)]
    values, vectors = np.linalg.eigh(precisions)
    roots = vectors * np.sqrt(np.maximum(values, 1e-6))[:, np.newaxis, :]
    visemes = [record[RECORD_HEAD_BYTES - 1] for record in records]
    whitening = roots.transpose(1, 0, 2).reshape(CEPSTRA, -1)
    return Prototypes(
        whitening=np.ascontiguousarray(whitening, np.float32),
        offset=np.einsum("ki,kij->kj", means, roots).reshape(-1).astype(np.float32),
        hints=_hints_of_visemes()[visemes],
    )


def _hints_of_visemes() -> Floats:
    """Return, for each viseme, its roundness, the consonants' weights, and the divisor."""
    hints = np.zeros((len(VISEMES), 1 + len(CONSONANT_VISEMES) + 1), np.float32)
    hints[:, 0] = ROUNDNESS
    for column, (name, share) in enumerate(CONSONANT_VISEMES, start=1):
        hints[VISEMES.index(name), column] = share
    hints[:, -1] = 1.0
    return hints


def _mel(hertz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hertz / 700.0))


def _find_edges(lowest: float, highest: float, count: int) -> NDArray[np.intp]:
    """Return the bins that bound bands of equal width on the mel scale."""
    mels = np.linspace(_mel(lowest), _mel(highest), count + 2)
    hertz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    return np.floor(hertz / SPEECH_RATE * WINDOW).astype(np.intp)


def _make_triangles(edges: NDArray[np.intp], bins: int) -> Floats:
    filters = np.zeros((len(edges) - 2, bins), np.float32)
    for number, band in enumerate(filters):
        start, peak, end = edges[number : number + 3]
        rising, falling = np.arange(start, peak), np.arange(peak, end)
        band[rising] = (rising - start) / max(1, peak - start)
        band[falling] = (end - falling) / max(1, end - peak)
    return filters


def _mel_filters() -> Floats:
    edges = _find_edges(60.0, 7600.0, BANDS)
    filters = _make_triangles(edges, WINDOW // 2 + 1)
    # A band narrower than a bin still has that one.
    for number in np.flatnonzero(filters.sum(1) == 0):
        filters[number, edges[number + 1]] = 1.0
    return filters


def _cepstral_filters() -> Floats:
    return _make_triangles(_find_edges(30.0, 7800.0, CEPSTRAL_BANDS), WINDOW // 2)


def _liftered_cosines() -> Floats:
    number = np.arange(1, CEPSTRA + 1)[:, np.newaxis]
    band = np.arange(CEPSTRAL_BANDS)[np.newaxis]
    cosines = np.sqrt(2 / CEPSTRAL_BANDS) * np.cos(np.pi * number * (band + 0.5) / CEPSTRAL_BANDS)
    lifted = cosines * (1 + 11 * np.sin(np.pi * number / 22))
    return np.ascontiguousarray(lifted.T, np.float32)
