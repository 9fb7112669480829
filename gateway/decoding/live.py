"""Decodes the WebM of an open line as it arrives; runs where it may be killed."""

import json
import signal
import socket
from collections.abc import Iterator, Sequence
from itertools import islice

import av
from av.audio.codeccontext import AudioCodecContext

from gateway.decoding.messages import ANSWER, DONE, LENGTH, PCM, REFUSED
from gateway.decoding.recording import RATE_HERTZ, SAMPLE_BYTES
from gateway.decoding.refusal import Refusal, damaged
from gateway.decoding.webm import Track, WebmReader

PIECE_S = 2.0
"""Processor time that a piece may take; the largest needs a tenth of it."""

BATCH_PACKETS = 50
"""Packets whose PCM goes back at once, at most 0.12 s each."""


def serve(line: socket.socket) -> None:
    """Decode one stream until the other end closes or the stream is refused."""
    decoder = LiveDecoder()
    with line, line.makefile("rb") as pieces:
        while head := pieces.read(LENGTH.size):
            piece = pieces.read(*LENGTH.unpack(head))
            signal.setitimer(signal.ITIMER_PROF, PIECE_S)
            try:
                for pcm in decoder.feed(piece):
                    line.sendall(ANSWER.pack(PCM, len(pcm)) + pcm)
            except Refusal as refusal:
                told = json.dumps(refusal.members()).encode()
                line.sendall(ANSWER.pack(REFUSED, len(told)) + told)
                return
            line.sendall(ANSWER.pack(DONE, 0))


class LiveDecoder:
    """Decodes one recording after the other: each starts with a header of its own."""

    def __init__(self) -> None:
        self._reader = WebmReader(self._begin)
        self._codec: _Opus | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the PCM that a piece completes, 16 kHz mono; raises Refusal."""
        packets = self._reader.read(piece)
        while batch := list(islice(packets, BATCH_PACKETS)):
            assert self._codec is not None
            if pcm := self._codec.decode(batch):
                yield pcm

    def _begin(self, track: Track) -> None:
        self._codec = _Opus(track.head)


class _Opus:
    """One recording's packets to 16 kHz mono PCM."""

    def __init__(self, head: bytes) -> None:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.extradata = head
        self._codec = codec
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HERTZ)

    def decode(self, packets: Sequence[bytes]) -> bytes:
        """Return the PCM of the next packets; raises Refusal."""
        try:
            return b"".join(
                bytes(part.planes[0])[: part.samples * SAMPLE_BYTES]
                for packet in packets
                for frame in self._codec.decode(av.Packet(packet))
                for part in self._resampler.resample(frame)
            )
        except (av.FFmpegError, ValueError) as error:
            raise damaged() from error
