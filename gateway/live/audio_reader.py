"""Makes PCM of the binary messages of a line, no faster than it can have been spoken."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Literal, Protocol

from gateway.contract.problems import refused
from gateway.decoding.decoder import FIELD, RATE_HERTZ, Decoder, refusal_error
from gateway.decoding.refusal import Refusal
from gateway.decoding.stream import LiveStream
from gateway.live.audio_bundler import AudioBundler
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import SAMPLE_BYTES, byte_count

AUDIO_RATE = 2.0
"""Audio may arrive this many times faster than it is spoken, after a burst of the size below."""

AUDIO_BURST_S = 60.0
"""As long as an utterance may be."""

SHORTEST_S = 0.01
"""A message with less audio counts as this much."""

_SECOND_BYTES = byte_count(1, RATE_HERTZ)
_SHORTEST_BYTES = byte_count(SHORTEST_S, RATE_HERTZ)


class AudioReader(Protocol):
    """Makes PCM of a client's binary messages."""

    async def feed(self, chunk: bytes) -> None:
        """Take a message, and return once all of its audio is passed on; raises ServiceError."""

    def take(self, chunk: bytes) -> bool:
        """Take a message at once, if that is possible; otherwise it is to be fed."""


@contextmanager
def reading(
    audio: Literal["pcm", "webm"], bundler: AudioBundler, decoder: Decoder
) -> Iterator[AudioReader]:
    """Give a reader of the client's kind of audio, which passes PCM on to the bundler."""
    allowance = _Allowance()

    def on_pcm(pcm: bytes) -> None:
        # Recorders send empty pieces, too: they count, and say nothing.
        allowance.take(len(pcm))
        if pcm:
            bundler.push(pcm)

    try:
        with decoder.live() as stream:
            yield _PcmReader(on_pcm) if audio == "pcm" else _WebmReader(stream, on_pcm)
    finally:
        bundler.close()


class _PcmReader:
    """The messages are PCM."""

    def __init__(self, on_pcm: Callable[[bytes], None]) -> None:
        self._on_pcm = on_pcm

    async def feed(self, chunk: bytes) -> None:
        if len(chunk) % SAMPLE_BYTES:
            raise refused(
                Reason.AUDIO_INVALID, FIELD, "whole_samples", "must be whole samples of two bytes"
            )
        self._on_pcm(chunk)

    def take(self, chunk: bytes) -> bool:
        if len(chunk) % SAMPLE_BYTES:
            return False
        try:
            self._on_pcm(chunk)
        except ServiceError:
            return False  # It comes again when the message is fed.
        return True


class _WebmReader:
    """The messages are pieces of WebM."""

    def __init__(self, stream: LiveStream, on_pcm: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._on_pcm = on_pcm

    async def feed(self, chunk: bytes) -> None:
        try:
            async with aclosing(self._stream.decode(chunk)) as decoded:
                async for pcm in decoded:
                    self._on_pcm(pcm)
        except Refusal as refusal:
            raise refusal_error(refusal) from None

    def take(self, chunk: bytes) -> bool:
        return False  # It is decoded elsewhere, which takes time.


class _Allowance:
    """How much audio a client may still send: a token bucket."""

    def __init__(self) -> None:
        self._most = byte_count(AUDIO_BURST_S, RATE_HERTZ)
        self._left = float(self._most)
        self._loop = asyncio.get_running_loop()
        self._filled_at = self._loop.time()

    def take(self, size: int) -> None:
        """Count audio; raises ServiceError RATE_LIMITED."""
        now = self._loop.time()
        refill = (now - self._filled_at) * AUDIO_RATE * _SECOND_BYTES
        self._left = min(self._most, self._left + refill) - max(size, _SHORTEST_BYTES)
        self._filled_at = now
        if self._left < 0:
            raise ServiceError(
                Reason.RATE_LIMITED, "Audio comes faster than it can have been spoken."
            )
