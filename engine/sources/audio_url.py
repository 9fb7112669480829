"""DriveByAudio: fetches an audio file and decodes it in pieces."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import av
import httpx

from engine.audio.sound import TRACK_RATE, PcmFormat, VoiceChannel
from engine.tasks.drives import Drive
from engine.tasks.stage import FeedError

MAX_FILE_BYTES = 32 * 2**20
FETCH_S = 20.0
PIECE_SAMPLES = TRACK_RATE
FORMATS = "mp3,wav"


async def feed_audio_url(
    drive: Drive, *, url: str, voice_channel: VoiceChannel, client: httpx.AsyncClient
) -> None:
    """Fetch, decode and write an MP3 or WAV file; raises `FeedError` if that fails."""
    file = await _fetch(client, url)
    with _decoding(file) as (channels, pieces):
        pcm_format = PcmFormat(
            sample_rate=TRACK_RATE, channels=channels, voice_channel=voice_channel
        )
        pcm_input = drive.open(pcm_format)
        while pcm := await asyncio.to_thread(_next_piece, pieces):
            await pcm_input.write(pcm)


async def _fetch(client: httpx.AsyncClient, url: str) -> bytes:
    file = bytearray()
    try:
        async with asyncio.timeout(FETCH_S), client.stream("GET", url) as response:
            if not response.is_success:
                raise FeedError(f"the audio URL answers HTTP {response.status_code}")
            async for chunk in response.aiter_bytes():
                file += chunk
                if len(file) > MAX_FILE_BYTES:
                    raise FeedError(f"the audio file has more than {MAX_FILE_BYTES} bytes")
    except TimeoutError:
        raise FeedError(f"the audio URL gave no whole file within {FETCH_S:.0f} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FeedError(f"the audio URL cannot be fetched: {type(error).__name__}") from None
    return bytes(file)


@contextmanager
def _decoding(file: bytes) -> Iterator[tuple[int, Iterator[bytes]]]:
    try:
        container = av.open(BytesIO(file), mode="r", options={"format_whitelist": FORMATS})
    except (av.FFmpegError, ValueError):
        raise FeedError("the audio file is neither MP3 nor WAV") from None
    with container:
        if not container.streams.audio:
            raise FeedError("the audio file holds no sound")
        codec = container.streams.audio[0].codec_context
        codec.thread_count = 1
        channels = min(codec.channels, 2)
        yield channels, _decode(container, channels)


def _decode(container: av.container.InputContainer, channels: int) -> Iterator[bytes]:
    resampler = av.AudioResampler(
        format="s16",
        layout="stereo" if channels == 2 else "mono",
        rate=TRACK_RATE,
        frame_size=PIECE_SAMPLES,
    )
    for frame in container.decode(audio=0):
        for piece in resampler.resample(frame):
            yield piece.to_ndarray().tobytes()
    for piece in resampler.resample(None):
        yield piece.to_ndarray().tobytes()


def _next_piece(pieces: Iterator[bytes]) -> bytes:
    try:
        return next(pieces, b"")
    except av.FFmpegError:
        raise FeedError("the audio file is damaged") from None
