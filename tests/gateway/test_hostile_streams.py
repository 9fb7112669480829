"""The WebM of a line is decoded where it can do no harm, whatever becomes of the process there."""

import asyncio
from collections.abc import AsyncIterator, Callable

import psutil
import pytest

from gateway.decoding.decoder import AudioLimits, Decoder, decoding
from gateway.decoding.process import MEMORY_BYTES
from gateway.decoding.refusal import Fault, Refusal
from gateway.decoding.stream import LiveStream
from services.runtime.pcm import byte_count
from tests.gateway.test_hostile_media import fork_servers
from tests.support.recordings import recording

SOUND = recording("webm", "libopus")
RATE_HERTZ = 16_000


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with decoding(AudioLimits()) as decoder:
        yield decoder


async def heard(stream: LiveStream, *pieces: bytes) -> int:
    """How many bytes of PCM came of the pieces."""
    return sum([len(pcm) for piece in pieces async for pcm in stream.decode(piece)])


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def children() -> list[psutil.Process]:
    [server] = fork_servers()
    return server.children()


async def test_each_stream_has_a_process_without_secrets(decoder: Decoder) -> None:
    with decoder.live() as first, decoder.live() as second, decoder.live():
        assert await heard(first, SOUND[:2_000], SOUND[2_000:]) > byte_count(0.4, RATE_HERTZ)
        assert await heard(second, SOUND, b"", SOUND) > byte_count(0.8, RATE_HERTZ)
        # The third one has sent nothing.
        processes = children()
        assert len(processes) == 2
        for each in processes:
            assert each.environ().keys() <= {"LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
            assert each.rlimit(psutil.RLIMIT_AS) == (MEMORY_BYTES, MEMORY_BYTES)
            assert each.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
            # Its own line, what it reads of it, and the three standard streams, which are void.
            assert each.num_fds() <= 5
    await until(lambda: not children())


async def test_a_stream_whose_process_dies_is_refused_and_others_go_on(decoder: Decoder) -> None:
    with decoder.live() as first, decoder.live() as second:
        await heard(first, SOUND[:2_000])
        [victim] = children()
        await heard(second, SOUND[:2_000])
        victim.kill()
        with pytest.raises(Refusal) as caught:
            await heard(first, SOUND[2_000:])
        assert caught.value.fault is Fault.INVALID
        assert await heard(second, SOUND[2_000:])


async def test_streams_begin_after_the_server_was_killed(decoder: Decoder) -> None:
    with decoder.live() as first:
        await heard(first, SOUND[:2_000])
        [server] = fork_servers()
        server.kill()
        # Its command line goes before its sockets: it has ended when it is reaped.
        await until(lambda: not psutil.pid_exists(server.pid))
        # A child outlives it, and a new server serves new streams.
        assert await heard(first, SOUND[2_000:])
        with decoder.live() as second:
            assert await heard(second, SOUND)


async def test_a_refusal_says_what_is_wrong(decoder: Decoder) -> None:
    with decoder.live() as stream, pytest.raises(Refusal) as caught:
        await heard(stream, b"RIFF")
    assert caught.value.members() == {
        "fault": "invalid",
        "rule": "webm",
        "description": "must begin as WebM does",
    }
