"""The way of a microphone's sound through the gateway: bundled, with every byte in its place."""

import asyncio
import random
from collections.abc import Iterator

import numpy as np
import pytest

from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.live.audio_bundler import BUNDLE_BYTES, SILENT_BUNDLE_BYTES, AudioBundler
from gateway.live.uplink import Uplink
from tests.support.virtual_time import in_virtual_time

FRAME = 640
"""20 ms."""

LARGEST = 65_536
MOST_OF_A_REQUEST = 32_768
COMMIT = pb.ConverseRequest(commit=pb.ConverseCommit())


def sound(frames: int, *, loud: bool, first: int = 0) -> bytes:
    """Return frames in which each sample differs from its neighbours."""
    samples = np.arange(first, first + frames * FRAME // 2, dtype=np.int64)
    amplitude = 8_000 if loud else 1
    return (amplitude * (-1) ** samples + samples % 7).astype("<i2").tobytes()


def messages(pcm: bytes, randomness: random.Random) -> Iterator[bytes]:
    """Cut sound into messages of whole samples, from one to the largest that a client may send."""
    at = 0
    while at < len(pcm):
        largest = randomness.choice([2, 40, FRAME, FRAME + 2, 5_000, LARGEST])
        size = randomness.randint(1, largest // 2) * 2
        yield pcm[at : at + size]
        at += size


@in_virtual_time
async def test_what_came_before_an_onset_goes_on_with_it() -> None:
    bundles: list[bytes] = []
    microphone = AudioBundler(bundles.append, ends_by_silence=True)
    quiet, voice = sound(108, loud=False), sound(30, loud=True, first=3)
    for at in range(0, len(quiet), FRAME):
        microphone.push(quiet[at : at + FRAME])
        await asyncio.sleep(0.02)
    held = quiet[sum(map(len, bundles)) :]
    assert 0 < len(held) < BUNDLE_BYTES
    before = len(bundles)
    for at in range(0, len(voice), FRAME):
        microphone.push(voice[at : at + FRAME])
        await asyncio.sleep(0.02)
    # The voice is noticed in the first 60 ms; 120 ms of it do not wait for more.
    first, *others = bundles[before:]
    assert first.startswith(held)
    noticed = (len(first) - len(held)) // FRAME
    assert 1 <= noticed <= 3
    small = others[: 6 - noticed]
    assert [len(each) // FRAME for each in small] == [1] * len(small)
    assert {len(each) for each in others[7 - noticed :]} == {BUNDLE_BYTES}
    microphone.flush()
    assert b"".join(bundles) == quiet + voice


@in_virtual_time
async def test_a_silent_line_sends_one_bundle_a_second_where_a_commit_ends_utterances() -> None:
    bundles: list[bytes] = []
    microphone = AudioBundler(bundles.append, ends_by_silence=False)

    async def hear(pcm: bytes) -> list[int]:
        before = len(bundles)
        for at in range(0, len(pcm), FRAME):
            microphone.push(pcm[at : at + FRAME])
            await asyncio.sleep(0.02)
        return [len(each) for each in bundles[before:]]

    await hear(sound(100, loud=False))
    assert set(await hear(sound(200, loud=False))) == {SILENT_BUNDLE_BYTES}
    onset = await hear(sound(30, loud=True))
    assert onset[0] < SILENT_BUNDLE_BYTES + 3 * FRAME
    assert FRAME in onset
    assert onset[-1] == BUNDLE_BYTES
    # The last words are shown although nobody has said that they are the last.
    assert max(await hear(sound(40, loud=False))) == BUNDLE_BYTES


@pytest.mark.parametrize("ends_by_silence", [True, False])
@in_virtual_time
async def test_what_is_held_is_passed_on_if_nothing_more_arrives(ends_by_silence: bool) -> None:
    bundles: list[bytes] = []
    microphone = AudioBundler(bundles.append, ends_by_silence=ends_by_silence)
    microphone.push(sound(1, loud=False))
    await asyncio.sleep(2)
    assert bundles == [sound(1, loud=False)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ends_by_silence", [True, False])
@in_virtual_time
async def test_no_byte_is_lost_doubled_or_moved(seed: int, ends_by_silence: bool) -> None:
    randomness = random.Random(seed)
    uplink = Uplink(keeps_utterances=False)
    microphone = AudioBundler(uplink.add_audio, ends_by_silence=ends_by_silence)

    async def taken() -> list[bytes]:
        heard = []
        async for request in uplink.requests():
            if request.HasField("commit"):
                break
            heard.append(request.audio.pcm)
            # Speech is sometimes behind, so that sound joins sound that waits.
            await asyncio.sleep(randomness.choice([0, 0.01, 0.3]))
        return heard

    taking = asyncio.create_task(taken())
    parts = [sound(randomness.randint(1, 60), loud=each % 2 == 1, first=each) for each in range(12)]
    for message in messages(b"".join(parts), randomness):
        await uplink.room()
        microphone.push(message)
        await asyncio.sleep(randomness.choice([0, 0.02, 0.05]))
    microphone.flush()
    uplink.add(COMMIT)
    heard = await taking
    assert b"".join(heard) == b"".join(parts)
    assert all(len(each) % 2 == 0 and 0 < len(each) <= MOST_OF_A_REQUEST for each in heard)
