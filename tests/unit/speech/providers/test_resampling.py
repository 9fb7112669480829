"""Audio at another rate is the same sound, however it was cut into pieces."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.providers.failover.resampling import Resampler

RATES = ((24_000, 16_000), (16_000, 24_000), (22_050, 24_000), (48_000, 16_000))


def tone(hertz: float, rate: int, *, seconds: float = 1.0) -> npt.NDArray[np.float64]:
    at = np.arange(round(seconds * rate)) / rate
    return 10_000 * np.sin(2 * np.pi * hertz * at)


def resample(samples: npt.NDArray[np.float64], *rates: int) -> npt.NDArray[np.float64]:
    resampler = Resampler(*rates)
    pcm = resampler.feed(samples.astype("<i2").tobytes()) + resampler.flush()
    return np.frombuffer(pcm, "<i2").astype(np.float64)


@pytest.mark.parametrize(("from_hertz", "to_hertz"), RATES)
@pytest.mark.parametrize("hertz", [110, 1_000, 6_500])
def test_speech_keeps_its_place_and_loudness(from_hertz: int, to_hertz: int, hertz: float) -> None:
    heard = resample(tone(hertz, from_hertz), from_hertz, to_hertz)
    expected = tone(hertz, to_hertz)
    assert len(heard) == len(expected)
    inner = slice(to_hertz // 50, -to_hertz // 50)
    assert np.abs(heard - expected)[inner].max() < 10  # -60 dB


def test_frequencies_above_the_lower_rate_are_removed() -> None:
    heard = resample(tone(10_000, 24_000), 24_000, 16_000)
    assert np.abs(heard[320:-320]).max() < 10


@given(
    cuts=st.lists(st.integers(0, 2_000), max_size=10),
    rates=st.sampled_from(RATES),
    length=st.integers(0, 2_000),
)
def test_there_is_no_seam_between_pieces(
    cuts: list[int], rates: tuple[int, int], length: int
) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, length).astype("<i2")
    whole = Resampler(*rates)
    expected = whole.feed(samples.tobytes()) + whole.flush()
    places = [0, *sorted(cut for cut in cuts if cut < length), length]
    resampler = Resampler(*rates)
    pieces = [resampler.feed(samples[a:b].tobytes()) for a, b in pairwise(places)]
    assert b"".join(pieces) + resampler.flush() == expected
