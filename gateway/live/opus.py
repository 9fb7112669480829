"""Decodes WebM/Opus as it arrives, in the form that a browser's MediaRecorder makes."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice

import av
from av.audio.codeccontext import AudioCodecContext

from gateway.contract.problems import refused
from gateway.decoding.decoder import FIELD, RATE_HERTZ
from gateway.live.webm import Track, WebmReader
from services.runtime.pcm import SAMPLE_BYTES
from services.runtime.reasons import Reason

BATCH_PACKETS = 50
"""Packets decoded at a time, at most 0.12 s each: the rate of audio is checked in between."""


class WebmDecoder:
    """Decodes one recording after the other; used by one caller at a time.

    Only single packets are decoded in this process, by the codec's own library; the container,
    whose lengths and depths could be forged, is parsed in Python.
    """

    def __init__(self, on_pcm: Callable[[bytes], None]) -> None:
        """`on_pcm` takes 16 kHz mono PCM, on the event loop; what it raises ends the decoding."""
        self._on_pcm = on_pcm
        self._reader = WebmReader(self._begin)
        self._codec: _OpusDecoder | None = None

    async def feed(self, chunk: bytes) -> None:
        """Decode more of the stream and pass the PCM on; raises ServiceError."""
        packets = self._reader.read(chunk)
        while batch := list(islice(packets, BATCH_PACKETS)):
            pcm = await asyncio.to_thread(self._decode, batch)
            if pcm:
                self._on_pcm(pcm)

    def _begin(self, track: Track) -> None:
        self._codec = _OpusDecoder(track.head)

    def _decode(self, packets: Sequence[bytes]) -> bytes:
        assert self._codec is not None
        return self._codec.decode(packets)


class _OpusDecoder:
    """One recording's packets to 16 kHz mono PCM."""

    def __init__(self, head: bytes) -> None:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.extradata = head
        self._codec = codec
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HERTZ)

    def decode(self, packets: Sequence[bytes]) -> bytes:
        """Return the PCM of the next packets; raises ServiceError AUDIO_INVALID."""
        try:
            return b"".join(
                bytes(part.planes[0])[: part.samples * SAMPLE_BYTES]
                for packet in packets
                for frame in self._codec.decode(av.Packet(packet))
                for part in self._resampler.resample(frame)
            )
        except (av.FFmpegError, ValueError) as error:
            raise refused(
                Reason.AUDIO_INVALID, FIELD, "decodable", "is damaged, or not WebM with Opus"
            ) from error
