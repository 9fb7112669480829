"""Decodes whatever audio a vendor answers with to samples, as it arrives."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Self

import av

from services.runtime.pcm import byte_count
from services.speech.streams import closing
from services.speech.vendors.sound import wav
from services.speech.vendors.sound.byte_stream import ByteStream
from services.speech.vendors.sound.formats import (
    HEAD_BYTES,
    MAX_CHANNELS,
    MPEG_BYTES,
    NOISE_BYTES,
    RATES,
    Coded,
    Pcm,
    SoundError,
    Wav,
    container_of,
    declared,
    is_noise,
    is_raw,
    is_text,
    may_be_mpeg,
)

DECODERS = 32
"""Answers decoded at the same time; each has a thread, which mostly waits for its vendor."""
LONGEST_S = 120.0
"""Longer than any segment; it bounds what a few compressed bytes can expand to."""
_PIECE_S = 0.1
_BAD_PACKETS = 3
"""An answer may end within a frame, or contain a bad one."""

# FFmpeg reads far more than audio, such as playlists, which would make it open other files.
_OPTIONS = {
    "format_whitelist": "ogg,matroska,webm,mp3,aac,flac,aiff,au,"
    "u8,s16le,s16be,s24le,s24be,s32le,f32le,f64le,alaw,mulaw",
    "codec_whitelist": "aac,flac,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,"
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,"
    "pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw",
    "protocol_whitelist": "",
    # The format is known already: probing would only delay the first samples.
    "probesize": "32",
    "analyzeduration": "0",
}


class Decoder:
    """Decodes to mono 16-bit samples of one rate, in threads of its own."""

    def __init__(self, threads: ThreadPoolExecutor, *, rate_hertz: int) -> None:
        self._threads = threads
        self._own = Pcm(format="s16le", rate_hertz=rate_hertz)

    @classmethod
    @asynccontextmanager
    async def open(cls, *, rate_hertz: int) -> AsyncIterator[Self]:
        """A decoder whose threads end when the context is left."""
        threads = ThreadPoolExecutor(DECODERS, thread_name_prefix="decoder")
        try:
            yield cls(threads, rate_hertz=rate_hertz)
        finally:
            # Without waiting: a thread that still reads needs the loop, which this would block.
            threads.shutdown(wait=False, cancel_futures=True)

    async def decode(self, answer: ByteStream, media_type: str) -> AsyncIterator[bytes]:
        """Yield the samples as they arrive; raises SoundError.

        Samples that have the wanted form already are passed on unchanged.
        """
        head = await answer.peek(HEAD_BYTES)
        if may_be_mpeg(head):
            head = await answer.peek(MPEG_BYTES)
        match container_of(head):
            case Wav():
                kind, size = await wav.read_header(answer)
                sounds = self._samples(wav.samples(answer, size), kind)
            case Coded() as coded:
                sounds = self._decoded(answer.rest(), coded)
            case None:
                if not is_raw(media_type):
                    head = await answer.peek(NOISE_BYTES)
                sounds = self._samples(answer.rest(), _raw(head, media_type, self._own))
        async with closing(sounds):
            async for pcm in sounds:
                yield pcm

    def _samples(self, pieces: AsyncIterator[bytes], kind: Pcm) -> AsyncIterator[bytes]:
        return pieces if kind == self._own else self._decoded(pieces, kind)

    async def _decoded(
        self, pieces: AsyncIterator[bytes], kind: Coded | Pcm
    ) -> AsyncIterator[bytes]:
        feed = _Feed(pieces, asyncio.get_running_loop())
        frames = _frames(feed, kind, self._own.rate_hertz)
        most = byte_count(LONGEST_S, self._own.rate_hertz)
        async with closing(pieces):
            try:
                while (pcm := await self._next(frames, feed)) is not None:
                    most -= len(pcm)
                    if most < 0:
                        raise SoundError("it has no end")
                    yield pcm
            finally:
                frames.close()

    async def _next(self, frames: Generator[bytes, None, None], feed: "_Feed") -> bytes | None:
        """Return the next samples, None at the end; cancelling it ends the thread's work."""
        loop = asyncio.get_running_loop()
        step = loop.run_in_executor(self._threads, next, frames, None)
        try:
            return await asyncio.shield(step)
        except (av.FFmpegError, ValueError) as error:
            raise SoundError(f"it cannot be decoded: {type(error).__name__}") from None
        finally:
            if not step.done():
                feed.close()
                await asyncio.gather(step, return_exceptions=True)


def _raw(head: bytes, media_type: str, own: Pcm) -> Pcm:
    """Return the format of raw samples; raises SoundError for bytes that are none."""
    if is_text(head):
        raise SoundError("it is text")
    kind = declared(media_type, own)
    if kind == own and is_noise(head):
        raise SoundError("it is neither a known container nor samples")
    return kind


class _Feed:
    """FFmpeg's input file: read in a thread, filled in the event loop, which owns all state."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._stream = ByteStream(pieces)
        self._loop = loop
        self._reading: asyncio.Task[bytes] | None = None
        self._is_closed = False

    def read(self, size: int) -> bytes:
        """Called by FFmpeg: return the next bytes, empty at the end."""
        return asyncio.run_coroutine_threadsafe(self._read(size), self._loop).result()

    def close(self) -> None:
        """Return nothing more: a reader sees the end of the file."""
        self._is_closed = True
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self, size: int) -> bytes:
        if self._is_closed:
            return b""
        self._reading = asyncio.ensure_future(self._stream.some(size))
        try:
            return await self._reading
        except asyncio.CancelledError:
            return b""
        finally:
            self._reading = None


def _frames(feed: _Feed, kind: Coded | Pcm, rate_hertz: int) -> Generator[bytes, None, None]:
    """Yield mono samples, the first as soon as possible; raises SoundError and FFmpeg's errors."""
    options = dict(_OPTIONS)
    if isinstance(kind, Pcm):
        options["sample_rate"] = str(kind.rate_hertz)
        options["ch_layout"] = f"{kind.channels} channels"
    with av.open(
        feed, mode="r", format=kind.format, options=options, metadata_errors="ignore"
    ) as container:
        if not container.streams.audio:
            raise SoundError("it has no sound track")
        track = container.streams.audio[0]
        if track.rate not in RATES or not 1 <= track.channels <= MAX_CHANNELS:
            raise SoundError(f"it has {track.rate} Hz and {track.channels} channels")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hertz)
        waiting, least = b"", 1
        for frame in _decoded_frames(container, track):
            waiting += b"".join(part.to_ndarray().tobytes() for part in resampler.resample(frame))
            if len(waiting) >= least:
                yield waiting
                waiting, least = b"", byte_count(_PIECE_S, rate_hertz)
        waiting += b"".join(part.to_ndarray().tobytes() for part in resampler.resample(None))
        if waiting:
            yield waiting


def _decoded_frames(
    container: av.container.InputContainer, track: av.AudioStream
) -> Iterator[av.AudioFrame]:
    bad = 0
    for packet in container.demux(track):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            bad += 1
            if bad > _BAD_PACKETS:
                raise
