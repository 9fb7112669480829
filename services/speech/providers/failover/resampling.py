"""Audio at another sample rate, piece by piece, without audible seams."""

from math import ceil, gcd

import numpy as np
import numpy.typing as npt

_CROSSINGS = 24
"""Zero crossings of the filter on each side: more make it sharper and slower."""
_PASS = 0.94
"""The share of the narrower band that is kept; above it the filter falls to -80 dB."""
_KAISER_BETA = 8.0

Floats = npt.NDArray[np.float32]


class Resampler:
    """A polyphase windowed-sinc filter for one stream of mono PCM16.

    The output is as long as the input, and nothing is shifted in time.
    """

    def __init__(self, from_hertz: int, to_hertz: int) -> None:
        common = gcd(from_hertz, to_hertz)
        self._up = to_hertz // common
        self._down = from_hertz // common
        slower = max(self._up, self._down)
        self._reach = _CROSSINGS * slower
        taps = _lowpass(self._reach, _PASS / slower) * self._up
        length = ceil(len(taps) / self._up) * self._up
        phases = np.pad(taps, (0, length - len(taps))).reshape(-1, self._up).T
        self._phases = np.ascontiguousarray(phases, np.float32)
        width = self._phases.shape[1]
        self._back = np.arange(width)
        # The filter starts in silence, before the first sample.
        self._kept: Floats = np.zeros(width, np.float32)
        self._kept_from = -width
        self._samples_in = 0
        self._samples_out = 0

    def feed(self, pcm: bytes) -> bytes:
        """Take whole samples; return the output that is certain by now."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        self._samples_in += len(samples)
        self._kept = np.concatenate((self._kept, samples))
        # Up to the last sample whose whole filter window has arrived.
        return self._output_until((self._samples_in * self._up - self._reach - 1) // self._down + 1)

    def flush(self) -> bytes:
        """Return the rest."""
        self._kept = np.concatenate((self._kept, np.zeros(self._reach, np.float32)))
        return self._output_until(ceil(self._samples_in * self._up / self._down))

    def _output_until(self, end: int) -> bytes:
        if end <= self._samples_out:
            return b""
        places = np.arange(self._samples_out, end) * self._down + self._reach
        newest = places // self._up - self._kept_from
        windows = self._kept[newest[:, None] - self._back]
        samples = np.einsum("nk,nk->n", windows, self._phases[places % self._up])
        self._samples_out = end
        following = (end * self._down + self._reach) // self._up - len(self._back) + 1
        self._kept = self._kept[max(0, following - self._kept_from) :]
        self._kept_from = max(self._kept_from, following)
        pcm: bytes = np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
        return pcm


def _lowpass(reach: int, cutoff: float) -> npt.NDArray[np.float64]:
    """Return an odd, symmetric filter; a `cutoff` of 1 is half the sample rate."""
    at = np.arange(-reach, reach + 1)
    taps: npt.NDArray[np.float64] = np.sinc(at * cutoff) * np.kaiser(len(at), _KAISER_BETA)
    taps /= taps.sum()
    return taps
