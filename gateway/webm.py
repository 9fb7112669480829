"""Decodes WebM/Opus while it comes, as a browser's MediaRecorder makes it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import av
from av.container import InputContainer

from gateway.media import FIELD, MAX_CHANNELS, RATE_HERTZ
from gateway.problems import refused
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason

# As for uploads: FFmpeg reads far more than sound, and would open other files.
DEMUXER_OPTIONS = {
    "format_whitelist": "matroska,webm",
    "codec_whitelist": "opus,libopus",
    "protocol_whitelist": "",
}
HEADER = b"\x1a\x45\xdf\xa3"
"""Every recording begins with it."""

WAITING_BYTES = 65_536
MUTE_BYTES = 262_144
"""A recording of which so much leads to no sound holds none."""

Hear = Callable[[bytes], None]
"""Takes 16 kHz mono PCM, on the event loop; what it raises ends the decoding."""


class WebmDecoder:
    """Decodes one recording after the other; each begins with a message that has the header."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="webm")
        self._recording: _Recording | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def feed(self, chunk: bytes) -> None:
        """Take more of the stream; waits while the decoder is behind."""
        if chunk.startswith(HEADER):
            await self._begin()
        if self._recording is None:
            raise _invalid("webm", "must begin as WebM does")
        await self._recording.feed(chunk)

    async def settled(self) -> None:
        """Wait until all that was fed is heard."""
        if self._recording is not None:
            await self._recording.settled()

    async def broken(self) -> None:
        """Wait for a stream that cannot be decoded; raises what is wrong with it."""
        await asyncio.shield(self._broken)

    async def close(self) -> None:
        """Drop what is not heard yet, and end the thread."""
        if self._recording is not None:
            await self._recording.end()
        self._threads.shutdown()
        self._broken.cancel()

    async def _begin(self) -> None:
        if self._recording is not None:
            await self._recording.settled()
            await self._recording.end()
        self._recording = _Recording(self._hear, self._threads)
        self._recording.decoding.add_done_callback(self._note_end)

    def _note_end(self, decoding: "asyncio.Future[None]") -> None:
        error = None if decoding.cancelled() else decoding.exception()
        if error is not None and not self._broken.done():
            self._broken.set_exception(error)
            self._broken.exception()  # Whoever waits for it may have gone.


class _Recording:
    """One recording, which FFmpeg pulls in a thread; all state is the event loop's."""

    def __init__(self, hear: Hear, threads: ThreadPoolExecutor) -> None:
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._mute_bytes = 0
        self._is_ended = False
        self._is_hungry = False
        self._changed = asyncio.Condition()
        self.decoding = asyncio.wrap_future(threads.submit(self._decode))

    async def feed(self, chunk: bytes) -> None:
        """Add bytes."""
        self._mute_bytes += len(chunk)
        if self._mute_bytes > MUTE_BYTES:
            raise _invalid("has_sound", "holds no sound")
        async with self._changed:
            await self._changed.wait_for(
                lambda: len(self._waiting) < WAITING_BYTES or self._is_ended
            )
            self._waiting += chunk
            self._is_hungry = False
            self._changed.notify_all()

    async def settled(self) -> None:
        """Wait for what was added: FFmpeg asks for more when it has passed on what it had."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_hungry or self._is_ended)

    async def end(self) -> None:
        """Let the thread come to its end."""
        await self._note_end()
        await asyncio.wait({self.decoding})

    def read(self, size: int) -> bytes:
        """FFmpeg's: the next bytes, empty at the end."""
        return asyncio.run_coroutine_threadsafe(self._take(size), self._loop).result()

    def _decode(self) -> None:
        try:
            with av.open(
                self, mode="r", format="matroska", options=DEMUXER_OPTIONS, metadata_errors="ignore"
            ) as container:
                self._decode_container(container)
        except (av.FFmpegError, ValueError) as error:
            # One that is ended from here may be cut off anywhere.
            if not self._is_ended:
                raise _invalid("decodable", "is damaged, or not WebM with Opus") from error
        finally:
            asyncio.run_coroutine_threadsafe(self._note_end(), self._loop).result()

    def _decode_container(self, container: InputContainer) -> None:
        if not container.streams.audio:
            raise _invalid("has_sound", "has no sound track")
        if not 1 <= container.streams.audio[0].channels <= MAX_CHANNELS:
            raise _invalid("channels", f"must have 1 to {MAX_CHANNELS} channels")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HERTZ)
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                pcm = part.to_ndarray().tobytes()
                asyncio.run_coroutine_threadsafe(self._pass_on(pcm), self._loop).result()

    async def _take(self, size: int) -> bytes:
        async with self._changed:
            self._is_hungry = not self._waiting
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._waiting or self._is_ended)
            chunk = b"" if self._is_ended else bytes(self._waiting[:size])
            del self._waiting[: len(chunk)]
            self._changed.notify_all()
            return chunk

    async def _pass_on(self, pcm: bytes) -> None:
        if pcm and not self._is_ended:
            self._mute_bytes = 0
            self._hear(pcm)

    async def _note_end(self) -> None:
        async with self._changed:
            self._is_ended = True
            self._changed.notify_all()


def _invalid(rule: str, description: str) -> ServiceError:
    return refused(Reason.AUDIO_INVALID, FIELD, rule, description)
