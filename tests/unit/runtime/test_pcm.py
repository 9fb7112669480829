"""Arithmetic of PCM keeps whole samples."""

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.pcm import byte_count, duration_s


@given(seconds=st.floats(0, 3600), rate=st.sampled_from([8000, 16000, 24000, 48000]))
def test_bytes_of_a_duration_are_whole_samples_within_it(seconds: float, rate: int) -> None:
    count = byte_count(seconds, rate)
    assert count % 2 == 0
    assert seconds - 1 / rate <= duration_s(count, rate) + 1e-9
    assert duration_s(count, rate) <= seconds + 1e-9
