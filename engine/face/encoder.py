"""A VP8 encoder tuned for a painted face on a still background."""

from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import av
from av.video.frame import PictureType

from engine.face.head import Bytes

# The class is generic for type checkers only.
VideoPacket: TypeAlias = "av.Packet[Any]"

FRAME_RATE = 25
CLOCK_RATE = 90_000
TIME_BASE = Fraction(1, CLOCK_RATE)
BIT_RATE = 900_000
REFERENCE_PIXELS = 512 * 512
# Frames of one picture differ little, so only requests and new scenes make key frames.
KEY_FRAME_INTERVAL = 3000


class Frame(NamedTuple):
    """One encoded frame; a decoder can start only with a key frame."""

    payload: bytes
    is_key: bool


class FrameEncoder:
    """One stream of frames of one size; one call at a time, from any thread."""

    def __init__(self, width: int, height: int) -> None:
        codec = av.CodecContext.create("libvpx", "w")
        assert isinstance(codec, av.VideoCodecContext)
        bit_rate = int(BIT_RATE * (width * height / REFERENCE_PIXELS) ** 0.75)
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuv420p"
        codec.bit_rate = bit_rate
        codec.time_base = Fraction(1, FRAME_RATE)
        codec.framerate = Fraction(FRAME_RATE, 1)
        codec.gop_size = KEY_FRAME_INTERVAL
        codec.qmin, codec.qmax = 4, 50
        codec.thread_count = 1
        # The renderer adds no noise, and most of the picture is still: both checks are
        # set to cost next to nothing.
        codec.options = {
            "deadline": "realtime",
            "cpu-used": "-12",
            "noise-sensitivity": "0",
            "static-thresh": "100",
            "lag-in-frames": "0",
            "bufsize": str(bit_rate),
            "minrate": str(bit_rate),
            "maxrate": str(bit_rate),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            "error-resilient": "0",
        }
        self._codec = codec
        self._number = 0

    def encode(self, picture: Bytes, *, as_key: bool = False) -> Frame:
        """Return the next frame, from I420."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = self._number
        frame.time_base = Fraction(1, FRAME_RATE)
        if as_key:
            frame.pict_type = PictureType.I
        self._number += 1
        packets = self._codec.encode(frame)
        return Frame(
            b"".join(bytes(packet) for packet in packets),
            any(packet.is_keyframe for packet in packets),
        )


def make_packet(frame: Frame, at_s: float) -> VideoPacket:
    """Return the packet of a frame that is shown at a time of the track."""
    packet: VideoPacket = av.Packet(frame.payload)
    packet.pts = round(at_s * CLOCK_RATE)
    packet.time_base = TIME_BASE
    packet.is_keyframe = frame.is_key
    return packet
