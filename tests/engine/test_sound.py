"""The way of samples to the 48 kHz track, and the bounds of a drive's input."""

import asyncio

import numpy as np
import pytest

from engine.audio.sound import (
    MAX_BUFFERED_S,
    TICK_SAMPLES,
    InputEnd,
    PcmFormat,
    PcmInput,
    TrackResampler,
)
from tests.support.engine_cloud import make_tone


@pytest.mark.parametrize("sample_rate", [16000, 24000, 48000])
def test_stream_of_ticks_equals_the_tone(sample_rate: int) -> None:
    resampler = TrackResampler(sample_rate)
    tone = make_tone(0.5, sample_rate=sample_rate)
    step = sample_rate // 50
    ticks = [resampler.push(tone[at : at + step]) for at in range(0, len(tone), step)]
    ticks.append(resampler.flush())
    assert {len(tick) for tick in ticks} == {TICK_SAMPLES}
    track = np.concatenate(ticks).astype(float)
    expected = make_tone(0.5, sample_rate=48000).astype(float)
    delay = int(np.argmax(np.correlate(track, expected, "valid")))
    assert delay <= 64
    inner = slice(2000, len(expected) - 2000)
    error = (track[delay : delay + len(expected)] - expected)[inner]
    assert np.sqrt(np.mean(error**2)) < 0.02 * 12000


async def test_writer_waits_while_too_much_is_unplayed() -> None:
    pcm_input = PcmInput(PcmFormat(sample_rate=16000))
    await pcm_input.write(bytes(int(MAX_BUFFERED_S) * 32000))
    writer = asyncio.create_task(pcm_input.write(b"\1\0"))
    await asyncio.sleep(0)
    assert not writer.done()
    pcm_input.read(0.02)
    await writer
    assert pcm_input.received_samples == int(MAX_BUFFERED_S) * 16000 + 1


async def test_discarding_frees_the_writer_and_keeps_nothing() -> None:
    pcm_input = PcmInput(PcmFormat(sample_rate=16000))
    await pcm_input.write(bytes(int(MAX_BUFFERED_S) * 32000))
    writer = asyncio.create_task(pcm_input.write(b"\1\0"))
    pcm_input.close(InputEnd.DISCARDED)
    await writer
    assert pcm_input.buffered_s == 0
