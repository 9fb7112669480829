"""The data channel of a viewer who renders the face: poses, and the clock they refer to."""

from typing import Protocol

import structlog
from aiortc import RTCDataChannel, RTCRtpSender

from engine.face.blendshape import write_clock

LABEL = "blendshape"
# A viewer that does not keep up misses poses; the next one is as good.
MAX_BUFFERED_BYTES = 4096
# Two seconds of a speaking face: the clock is sent again, in case it was lost.
POSES_PER_CLOCK = 50

log = structlog.get_logger()


class Sound(Protocol):
    """The sound track of the viewer."""

    @property
    def sent_pts(self) -> int | None:
        """The time of the last packet sent, in samples at 48 kHz."""


class PoseChannel:
    """Sends messages once the viewer has opened its channel and received the first sound."""

    def __init__(self, sound: Sound, sender: RTCRtpSender) -> None:
        self._sound = sound
        self._sender = sender
        self._channel: RTCDataChannel | None = None
        self._until_clock = 0

    def take(self, channel: RTCDataChannel) -> None:
        """Use a channel that the viewer opened."""
        if channel.label == LABEL:
            self._channel = channel
            self._until_clock = 0

    def put(self, message: bytes) -> None:
        """Send a pose; never blocks."""
        channel, pts = self._channel, self._sound.sent_pts
        if channel is None or channel.readyState != "open" or pts is None:
            return
        if channel.bufferedAmount > MAX_BUFFERED_BYTES:
            return
        if not self._until_clock:
            self._until_clock = POSES_PER_CLOCK
            channel.send(write_clock(rtp_offset=_rtp_timestamp(self._sender) - pts))
        self._until_clock -= 1
        channel.send(message)


def _rtp_timestamp(sender: RTCRtpSender) -> int:
    # aiortc starts every stream at a random timestamp that it does not expose.
    timestamp: int = sender._RTCRtpSender__rtp_timestamp  # type: ignore[attr-defined]
    return timestamp
