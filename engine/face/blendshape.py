"""What viewers who render the face receive: poses on the clock of the sound.

All messages are little-endian and start with the version and the kind. See docs/engine.md.
"""

import struct
from enum import IntEnum

from engine.audio.sound import TICK_S, TICK_SAMPLES
from engine.face.performer import Performer
from engine.face.pose import Pose

VERSION = 1
TICKS_PER_POSE = 2
# A resting face moves slowly: every fifth pose is sent, or when it blinks or looks away.
RESTING_POSES = 5
NOTEWORTHY = 0.04
HEAD_UNIT = 1e-4
UINT32 = 2**32

_POSE = struct.Struct("<BBHI B b 5B B 2b 2B 5h")
_CLOCK = struct.Struct("<BBHI")


class Kind(IntEnum):
    """The kind of a message."""

    POSE = 0
    CLOCK = 1


def write_pose(pose: Pose, *, sequence: int, media_time: int) -> bytes:
    """A pose at a time; `media_time` counts samples of the sound at 48 kHz."""
    head = pose.head
    return _POSE.pack(
        VERSION,
        Kind.POSE,
        sequence % 2**16,
        media_time % UINT32,
        _share(pose.mouth_open),
        _signed(pose.mouth_round),
        *map(_share, pose.consonants),
        _share(pose.blink),
        *map(_signed, pose.gaze),
        _share(pose.brow),
        _share(pose.smile),
        *(
            max(-(2**15), min(2**15 - 1, round(value / HEAD_UNIT)))
            for value in (head.yaw, head.pitch, head.roll, head.sway, head.breath)
        ),
    )


def write_clock(*, rtp_offset: int) -> bytes:
    """What to add to a media time for the timestamp of the viewer's own RTP stream."""
    return _CLOCK.pack(VERSION, Kind.CLOCK, 0, rtp_offset % UINT32)


class PoseFeed:
    """Decides at each tick what to send: one message for all viewers of a task."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._sequence = 0
        self._last: Pose | None = None
        self._skipped = 0

    def tick(self, index: int) -> bytes | None:
        """Return the pose of the next tick, 25 times a second while it speaks or acts."""
        if index % TICKS_PER_POSE:
            return None
        due = index + 1
        pose = self._performer.pose_at(due * TICK_S)
        if self._performer.is_resting(due * TICK_S) and not self._is_news(pose):
            self._skipped += 1
            return None
        self._last, self._skipped = pose, 0
        self._sequence += 1
        return write_pose(pose, sequence=self._sequence, media_time=due * TICK_SAMPLES)

    def _is_news(self, pose: Pose) -> bool:
        last = self._last
        return (
            last is None
            or self._skipped >= RESTING_POSES - 1
            or abs(pose.blink - last.blink) > NOTEWORTHY
            or any(abs(a - b) > NOTEWORTHY for a, b in zip(pose.gaze, last.gaze, strict=True))
        )


def _share(value: float) -> int:
    return max(0, min(255, round(value * 255)))


def _signed(value: float) -> int:
    return max(-127, min(127, round(value * 127)))
