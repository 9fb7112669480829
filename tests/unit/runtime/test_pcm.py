"""Arithmetic of PCM keeps every byte and whole samples."""

from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.pcm import byte_count, duration_s, regrouped


async def flow(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@given(chunks=st.lists(st.binary(max_size=50), max_size=20), size=st.integers(1, 64))
async def test_regrouping_keeps_the_bytes(chunks: list[bytes], size: int) -> None:
    groups = [group async for group in regrouped(flow(chunks), size)]
    assert b"".join(groups) == b"".join(chunks)
    assert all(len(group) == size for group in groups[:-1])
    assert all(0 < len(group) <= size for group in groups[-1:])


async def test_regrouping_passes_on_at_once() -> None:
    taken = []

    async def source() -> AsyncIterator[bytes]:
        for number in range(3):
            taken.append(number)
            yield bytes(4)

    groups = regrouped(source(), 4)
    await anext(groups)
    assert taken == [0]


@given(seconds=st.floats(0, 3600), rate=st.sampled_from([8000, 16000, 24000, 48000]))
def test_bytes_of_a_duration_are_whole_samples_within_it(seconds: float, rate: int) -> None:
    count = byte_count(seconds, rate)
    assert count % 2 == 0
    assert seconds - 1 / rate <= duration_s(count, rate) + 1e-9
    assert duration_s(count, rate) <= seconds + 1e-9
