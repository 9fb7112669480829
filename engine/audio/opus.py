"""One Opus encoder per task; all viewers share its packets."""

from fractions import Fraction
from typing import Any, TypeAlias

import av
import numpy as np

from engine.audio.sound import TICK_SAMPLES, TRACK_RATE, Samples

# The class is generic for type checkers only.
SoundPacket: TypeAlias = "av.Packet[Any]"

TIME_BASE = Fraction(1, TRACK_RATE)
BIT_RATE = 40_000
# At this rate "voip" would cost three times as much and be less faithful.
OPTIONS = {"application": "audio", "compression_level": "5", "frame_duration": "20"}
# The encoder fades into silence for half a second before the cached packet takes over.
TAIL_TICKS = 25


class OpusVoice:
    """Encodes 20 ms ticks; lasting silence is not encoded again."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, av.AudioCodecContext)
        codec.sample_rate = TRACK_RATE
        codec.layout = "mono"
        codec.format = "s16"
        codec.bit_rate = BIT_RATE
        codec.time_base = TIME_BASE
        codec.options = OPTIONS
        self._codec = codec
        self._silence = np.zeros(TICK_SAMPLES, np.int16)
        self._silent_packet = b""
        self._silent_ticks = 0

    def encode(self, tick: Samples | None, pts: int) -> SoundPacket:
        """Return the packet of one tick, None being silence; pts counts samples at 48 kHz."""
        if tick is not None:
            self._silent_ticks = 0
            return self._packet(self._encode(tick, pts), pts)
        self._silent_ticks += 1
        if self._silent_ticks <= TAIL_TICKS:
            self._silent_packet = self._encode(self._silence, pts)
        return self._packet(self._silent_packet, pts)

    def _encode(self, samples: Samples, pts: int) -> bytes:
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = TRACK_RATE
        frame.pts = pts
        frame.time_base = TIME_BASE
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))

    def close(self) -> None:
        """Release the encoder and the threads that PyAV gives it, one per core."""
        del self._codec

    @staticmethod
    def _packet(payload: bytes, pts: int) -> SoundPacket:
        packet: SoundPacket = av.Packet(payload)
        packet.pts = pts
        packet.time_base = TIME_BASE
        return packet
