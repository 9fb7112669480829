"""What strangers may send as a recording costs little memory and time, whatever it claims to be."""

import asyncio
import io
import os
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from gateway.decoding.decoder import AudioLimits, Decoder, decoding
from gateway.decoding.process import MEMORY_BYTES
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway
from tests.support.recordings import recording

API = "/api/digital-human"
MUTATIONS = int(os.environ.get("MUTATIONS", "120"))
"""Of each kind of file; thousands for a long search."""

TOLERATED_BYTES = MEMORY_BYTES // 4
"""What all this may take from the gateway itself."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of MP4."""
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def table(kind: bytes, *numbers: int) -> bytes:
    """A box with a version and a table of numbers."""
    return box(kind, struct.pack(f">{1 + len(numbers)}I", 0, *numbers))


def mp4(
    *, samples: int = 10, sizes: int = 2, chunks: int = 1, codec: bytes = b"mp4a", **counts: int
) -> bytes:
    """A small file that claims to have many samples, chunks or tracks."""
    sound = box(codec, bytes(6), struct.pack(">H8xHHHHI", 1, 1, 16, 0, 0, 16_000 << 16))
    header = box(b"stsd", struct.pack(">II", 0, 1), sound)
    durations = table(b"stts", 1, counts.get("durations", samples), 160)
    offsets = table(b"ctts", 1, counts.get("offsets", 1), 5)
    spread = table(b"stsc", 1, 1, max(1, samples // chunks), 1)
    stbl = box(
        b"stbl",
        *(header, durations, offsets, spread),
        table(b"stsz", sizes, samples),
        table(b"stco", chunks, 1_000),
    )
    mdia = box(
        b"mdia",
        table(b"mdhd", 0, 0, 16_000, 16_000, 0),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
        box(b"minf", table(b"smhd", 0), stbl),
    )
    tracks = [
        box(b"trak", table(b"tkhd", 0, 0, 1 + at, 0, 1_000, *[0] * 15), mdia)
        for at in range(counts.get("tracks", 1))
    ]
    mvhd = table(b"mvhd", 0, 0, 1_000, 1_000, 65_536, *[0] * 20)
    return (
        box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov", mvhd, *tracks) + box(b"mdat", bytes(200))
    )


def nested(depth: int) -> bytes:
    """WebM whose elements lie within each other."""
    open_segment = b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    return b"\x1a\x45\xdf\xa3\x80" + open_segment + (b"\x16\x54\xae\x6b\x01" + b"\xff" * 7) * depth


BOMBS: dict[str, bytes] = {
    "samples of one size": mp4(samples=80_000_000),
    "a list of sizes": mp4(samples=80_000_000, sizes=0),
    "samples of opus": mp4(samples=80_000_000, codec=b"Opus"),
    "chunks": mp4(samples=50_000_000, chunks=50_000_000),
    "durations": mp4(durations=2**31),
    "offsets": mp4(offsets=2**31 - 1),
    "many tracks": mp4(samples=5_000_000, tracks=60),
    "depth": nested(21_500),
}


@asynccontextmanager
async def watched_memory() -> AsyncIterator[Callable[[], int]]:
    """Gives the most bytes that this process and those below it took beyond what they had."""
    process = psutil.Process()
    highest = 0

    def resident() -> int:
        taken = process.memory_info().rss
        for child in process.children(recursive=True):
            try:
                taken += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return taken

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, resident())
            await asyncio.sleep(0.005)

    before = resident()
    watching = asyncio.create_task(watch())
    try:
        yield lambda: max(highest, resident()) - before
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def outcome(decoder: Decoder, content: bytes) -> bytes | Reason:
    """The sound, or why there is none."""
    try:
        return await decoder.decode(io.BytesIO(content), "application/octet-stream")
    except ServiceError as error:
        return error.reason


@pytest.mark.parametrize("bomb", BOMBS)
async def test_what_a_file_claims_takes_no_memory(bomb: str) -> None:
    async with decoding(AudioLimits()) as decoder:
        await outcome(decoder, recording("wav", "pcm_s16le"))
        async with watched_memory() as taken:
            # Two at once, which is all that are worked on.
            content = BOMBS[bomb]
            assert set(await asyncio.gather(*(outcome(decoder, content) for _ in range(4)))) <= {
                Reason.AUDIO_INVALID,
                Reason.AUDIO_FORMAT_UNSUPPORTED,
            }
            assert taken() < 2 * MEMORY_BYTES + TOLERATED_BYTES
        assert isinstance(await outcome(decoder, recording("wav", "pcm_s16le")), bytes)


async def test_others_are_served_while_bombs_are_defused(gateway: RunningGateway) -> None:
    task_id = await gateway.create()

    async def upload(content: bytes) -> httpx.Response:
        return await gateway.client.post(
            f"{API}/talk-to-ai",
            params={"taskId": task_id},
            content=content,
            headers={"content-type": "audio/mp4"},
        )

    bombs = [asyncio.create_task(upload(each)) for each in BOMBS.values()]
    assert (await gateway.client.get("/livez")).status_code == 200
    assert (await upload(recording("ipod", "aac"))).status_code == 200
    for answer in await asyncio.gather(*bombs):
        assert answer.status_code == 400, answer.text
        assert answer.json()["reason"] in ("AUDIO_INVALID", "AUDIO_FORMAT_UNSUPPORTED")


async def test_nothing_is_decoded_for_a_task_that_is_not_there(gateway: RunningGateway) -> None:
    for request in (
        {"params": {"taskId": "nobody"}, "content": b"x", "headers": {"content-type": "audio/wav"}},
        {"data": {"taskId": "nobody"}, "files": {"audio": ("a.wav", b"x", "audio/wav")}},
    ):
        answer = await gateway.client.post(f"{API}/talk-to-ai", **request)
        assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")


async def test_an_upload_leaves_nothing_behind(
    gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await gateway.create()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    large = recording("wav", "pcm_s16le") + b"\x55" * 2**21

    async def upload(content: bytes) -> None:
        await gateway.client.post(
            f"{API}/talk-to-ai",
            data={"taskId": task_id},
            files={"audio": ("speech", content, "audio/wav")},
        )

    await upload(large)
    descriptors = psutil.Process().num_fds()
    for content in (large, BOMBS["samples of one size"], large):
        await upload(content)
    assert psutil.Process().num_fds() <= descriptors
    assert os.listdir(tmp_path) == []


def fork_servers() -> list[psutil.Process]:
    """The processes that start those which decode, beside what else this one has started."""
    children = psutil.Process().children()
    return [each for each in children if "decoding" in " ".join(each.cmdline())]


async def test_a_decoder_that_was_killed_is_started_again() -> None:
    sound = recording("wav", "pcm_s16le")
    async with decoding(AudioLimits()) as decoder:
        assert isinstance(await outcome(decoder, sound), bytes)
        [server] = fork_servers()
        assert server.environ().keys() <= {"LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
        server.kill()
        assert isinstance(await outcome(decoder, sound), bytes)
    assert fork_servers() == []


async def test_jobs_that_a_killed_decoder_had_not_taken_are_given_to_the_next() -> None:
    sound, spoken = recording("wav", "pcm_s16le"), recording("webm", "libopus")
    async with decoding(AudioLimits()) as decoder:
        await decoder.warm_up()
        [server] = fork_servers()
        server.suspend()
        with decoder.live() as stream:
            live = asyncio.create_task(anext(stream.decode(spoken)))
            asked = [asyncio.create_task(outcome(decoder, sound)) for _ in range(2)]
            await asyncio.sleep(0.1)
            server.kill()
            assert all(isinstance(each, bytes) for each in await asyncio.gather(*asked, live))


async def test_a_decoder_that_does_not_start_is_no_fault_of_recordings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.decoding.decoder._PROGRAM", "raise SystemExit")
    sound = recording("wav", "pcm_s16le")
    async with decoding(AudioLimits()) as decoder:
        assert await outcome(decoder, sound) is Reason.DEPENDENCY_UNAVAILABLE
        with decoder.live() as stream, pytest.raises(ServiceError) as told:
            await anext(stream.decode(sound))
        assert told.value.reason is Reason.DEPENDENCY_UNAVAILABLE


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("ipod", "aac"),
        ("caf", "pcm_s16le"),
        ("aiff", "pcm_s16be"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
        ("mp3", "libmp3lame"),
        ("flac", "flac"),
    ],
)
async def test_a_damaged_file_is_a_sound_or_a_refusal(container: str, codec: str) -> None:
    whole = recording(container, codec)
    random = np.random.default_rng(5)
    async with decoding(AudioLimits()) as decoder:
        for _ in range(MUTATIONS):
            damaged = np.frombuffer(whole, np.uint8)[: random.integers(8, len(whole) + 1)].copy()
            # Mostly headers: damaged samples are only another sound.
            reach = min(len(damaged), int(random.choice([64, 600, len(damaged)])))
            for at in random.integers(0, reach, random.integers(1, 6)):
                damaged[at] = random.integers(0, 256)
            match await outcome(decoder, damaged.tobytes()):
                case Reason() as reason:
                    assert reason in (
                        Reason.AUDIO_INVALID,
                        Reason.AUDIO_FORMAT_UNSUPPORTED,
                        Reason.AUDIO_TOO_LONG,
                    )
                case pcm:
                    assert 0 < len(pcm) <= 60 * 32_000
