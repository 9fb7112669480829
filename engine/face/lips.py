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
# Frames that the network sees before and after the one it tells about.
CONTEXT = 3
LOOK_AHEAD_S = (WINDOW / 2 + CONTEXT * HOP) / SPEECH_RATE

BANDS = 26
CEPSTRAL_BANDS = 40
CEPSTRA = 12
PRE_EMPHASIS = 0.95
# A sound this far below the loudest of late, in log power, is silence; above the ramp it is speech.
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
    """The mouth at `at_s` seconds of the speech; see `Pose` for the units."""

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
    """Phones as Gaussians over cepstra, whitened, and the viseme of each."""

    whitening: Floats
    offset: Floats
    visemes: Floats

    def __call__(self, cepstra: Floats) -> Floats:
        """How much of each viseme is in each frame."""
        count = len(self.visemes)
        distances = (cepstra @ self.whitening - self.offset).reshape(len(cepstra), count, CEPSTRA)
        squared = np.einsum("nkj,nkj->nk", distances, distances)
        likeness = np.exp(-0.25 * (squared - squared.min(1, keepdims=True)))
        shares: Floats = (likeness / likeness.sum(1, keepdims=True)) @ self.visemes
        return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """Everything that all lip readers share: filters and both models."""

    window: Floats
    filters: Floats
    cosines: Floats
    network: Network
    prototypes: Prototypes

    def analyse(self, windows: Floats) -> tuple[Floats, Floats]:
        """Log-mel bands and viseme shares of pre-emphasised windows."""
        spectrum = np.fft.rfft(windows * self.window)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        energies = power @ self.filters
        bands = np.log(energies[:, :BANDS] + 1e-6)
        cepstra = np.tanh(np.log10(energies[:, BANDS:] / WINDOW + 1e-10) @ self.cosines)
        return bands, self.prototypes(cepstra)


class LipReader:
    """Reads one piece of speech; a new piece wants a new reader."""

    def __init__(self) -> None:
        self._ear = load_ear()
        # Half a window of silence, so that frame n is centred on sample n * HOP.
        self._emphasised = np.zeros(WINDOW // 2, np.float32)
        self._last_sample = 0.0
        self._peak = PEAK_AT_START
        self._mean: Floats | None = None
        self._features = np.zeros((0, BANDS), np.float32)
        self._visemes = np.zeros((0, len(VISEMES)), np.float32)
        self._levels = np.zeros(0, np.float32)
        self._frames_read = 0

    def read(self, samples: Floats) -> list[MouthShape]:
        """The shapes that become known with 16 kHz samples from -1 to 1, in order."""
        if len(samples):
            self._take(samples)
        count = (len(self._emphasised) - WINDOW) // HOP + 1
        if count < 1:
            return []
        windows = np.lib.stride_tricks.sliding_window_view(self._emphasised, WINDOW)[::HOP][:count]
        bands, visemes = self._ear.analyse(windows)
        self._emphasised = self._emphasised[count * HOP :].copy()
        self._append(bands, visemes)
        return self._shape()

    def _take(self, samples: Floats) -> None:
        emphasised = np.empty_like(samples)
        emphasised[0] = samples[0] - PRE_EMPHASIS * self._last_sample
        emphasised[1:] = samples[1:] - PRE_EMPHASIS * samples[:-1]
        self._last_sample = float(samples[-1])
        self._emphasised = np.concatenate([self._emphasised, emphasised])

    def _append(self, bands: Floats, visemes: Floats) -> None:
        levels = bands.max(1)
        self._peak = max(self._peak - PEAK_DECAY * len(levels), float(levels.max()))
        if self._mean is None:
            self._mean = np.linspace(-4.5, -5.5, BANDS).astype(np.float32) + (self._peak + 1.0)
        voiced = levels > self._peak - SPEECH_RANGE
        if voiced.any():
            rate = 1.0 - (1.0 - MEAN_RATE) ** int(voiced.sum())
            self._mean = self._mean + rate * (bands[voiced].mean(0) - self._mean)
        features = (bands - self._mean) / FEATURE_SCALE
        if not len(self._features):
            self._features = np.repeat(features[:1], CONTEXT, 0)
        self._features = np.concatenate([self._features, features])
        self._visemes = np.concatenate([self._visemes, visemes])
        self._levels = np.concatenate([self._levels, levels])

    def _shape(self) -> list[MouthShape]:
        span = 2 * CONTEXT + 1
        count = len(self._features) - span + 1
        if count < 1:
            return []
        seen = np.lib.stride_tricks.sliding_window_view(self._features, span, axis=0)
        told = self._ear.network(seen.transpose(0, 2, 1).reshape(count, -1))
        visemes = self._visemes[:count]
        gate = np.clip((self._levels[:count] - (self._peak - GATE_FLOOR)) / GATE_RAMP, 0.0, 1.0)
        opening = np.clip(told[:, 0] * 1.15, 0.0, 1.0) * gate
        rounding = np.clip(0.8 * told[:, 1] + 0.5 * (visemes @ np.array(ROUNDNESS)), -1.0, 1.0)
        rounding = rounding * np.minimum(1.0, gate * 1.3)
        closed = np.clip((told[:, 2] - 0.25) * 2.0, 0.0, 1.0) * gate
        others = [visemes[:, VISEMES.index(name)] * share for name, share in CONSONANT_VISEMES]
        consonants = np.stack([closed, *others], 1)
        total = consonants.sum(1, keepdims=True)
        consonants *= MAX_CONSONANTS / np.maximum(MAX_CONSONANTS, total)
        shapes = [
            MouthShape((self._frames_read + number) * HOP_S, *shape)
            for number, shape in enumerate(
                zip(
                    opening.tolist(),
                    rounding.tolist(),
                    map(tuple, consonants.tolist()),
                    strict=True,
                )
            )
        ]
        self._frames_read += count
        self._features = self._features[count:]
        self._visemes = self._visemes[count:]
        self._levels = self._levels[count:]
        return shapes


@cache
def load_ear() -> Ear:
    """The models and filters, read once per process."""
    with np.load(ASSETS / "lip_mlp.npz") as weights:
        network = Network(
            hidden=weights["W1"],
            hidden_bias=weights["b1"],
            output=weights["W2"],
            output_bias=weights["b2"],
        )
    cepstral = np.pad(_cepstral_filters(), ((0, 0), (0, 1)))
    filters = np.ascontiguousarray(np.vstack([_mel_filters(), cepstral]).T, np.float32)
    return Ear(
        window=np.hanning(WINDOW).astype(np.float32),
        filters=filters,
        cosines=_liftered_cosines(),
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
    visemes = np.zeros((len(records), len(VISEMES)), np.float32)
    visemes[np.arange(len(records)), [record[RECORD_HEAD_BYTES - 1] for record in records]] = 1.0
    whitening = roots.transpose(1, 0, 2).reshape(CEPSTRA, -1)
    return Prototypes(
        whitening=np.ascontiguousarray(whitening, np.float32),
        offset=np.einsum("ki,kij->kj", means, roots).reshape(-1).astype(np.float32),
        visemes=visemes,
    )


def _mel(hertz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hertz / 700.0))


def _find_edges(lowest: float, highest: float, count: int) -> NDArray[np.intp]:
    """The bins between which bands of equal width on the mel scale lie."""
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
