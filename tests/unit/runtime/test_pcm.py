"""Arithmetic of PCM keeps whole samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.pcm import byte_count, duration_s, root_mean_square


@given(seconds=st.floats(0, 3600), rate=st.sampled_from([8000, 16000, 24000, 48000]))
def test_bytes_of_a_duration_are_whole_samples_within_it(seconds: float, rate: int) -> None:
    count = byte_count(seconds, rate)
    assert count % 2 == 0
    assert seconds - 1 / rate <= duration_s(count, rate) + 1e-9
    assert duration_s(count, rate) <= seconds + 1e-9


@given(samples=st.lists(st.integers(-32768, 32767), min_size=1, max_size=400))
def test_the_level_is_the_root_of_the_mean_square(samples: list[int]) -> None:
    pcm = np.array(samples, "<i2").tobytes()
    mean = sum(each * each for each in samples) / len(samples)
    assert root_mean_square(pcm) == pytest.approx(math.sqrt(mean))
