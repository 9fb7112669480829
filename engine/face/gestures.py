"""What a face does on command: motions of head, eyes and brows, as functions of time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.face.pose import HeadPose, Pose, ease

FADE_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """A motion; `play` returns what to add to the pose at a time after the start."""

    duration_s: float
    play: Callable[[float], Pose]


def _swell(since_s: float, duration_s: float, fade_s: float = FADE_S) -> float:
    return ease(since_s / fade_s) * ease((duration_s - since_s) / fade_s)


def _nod(since_s: float) -> Pose:
    bow = 0.5 * (1 - math.cos(2 * math.pi * since_s / 0.6))
    return Pose(head=HeadPose(pitch=0.13 * bow * _swell(since_s, 1.2, 0.15)), brow=0.2 * bow)


def _shake(since_s: float) -> Pose:
    turn = math.sin(2 * math.pi * since_s / 0.7)
    return Pose(head=HeadPose(yaw=0.15 * turn * _swell(since_s, 1.4)))


def _smile(since_s: float) -> Pose:
    swell = _swell(since_s, 2.4, 0.4)
    return Pose(
        mouth_open=0.04 * swell,
        mouth_round=-0.95 * swell,
        smile=0.9 * swell,
        head=HeadPose(pitch=-0.02 * swell, roll=0.03 * swell),
    )


def _look_aside(since_s: float) -> Pose:
    swell = _swell(since_s, 2.0, 0.35)
    return Pose(
        gaze=(0.9 * swell, 0.1 * swell), head=HeadPose(yaw=0.11 * swell, roll=-0.015 * swell)
    )


def _greet(since_s: float) -> Pose:
    swell = _swell(since_s, 2.2, 0.3)
    bow = ease(since_s / 0.35) * ease((0.9 - since_s) / 0.45)
    return Pose(
        mouth_round=-0.8 * swell,
        mouth_open=0.03 * swell,
        brow=0.7 * _swell(since_s, 1.2, 0.25),
        smile=0.5 * ease((since_s - 0.8) / 0.4) * swell,
        head=HeadPose(pitch=0.14 * bow, roll=0.05 * swell),
    )


def _shake_hands(since_s: float) -> Pose:
    # No hands are visible: only the bow and the smile that go with it are.
    swell = _swell(since_s, 2.6, 0.3)
    shaking = math.sin(2 * math.pi * since_s / 0.45) * _swell(since_s, 1.9, 0.4)
    return Pose(
        mouth_round=-0.9 * swell,
        smile=0.8 * swell,
        brow=0.4 * swell,
        head=HeadPose(pitch=(0.09 + 0.05 * shaking) * swell, roll=-0.03 * swell),
    )


def _attend(since_s: float) -> Pose:
    swell = _swell(since_s, 2.4, 0.4)
    return Pose(
        brow=0.35 * swell, smile=0.25 * swell, head=HeadPose(pitch=0.03 * swell, roll=0.06 * swell)
    )


def _nothing(since_s: float) -> Pose:
    return Pose()


# "idle" ends any other gesture.
GESTURES: Mapping[str, Gesture] = {
    "idle": Gesture(duration_s=0.0, play=_nothing),
    "nod": Gesture(duration_s=1.2, play=_nod),
    "shake": Gesture(duration_s=1.4, play=_shake),
    "smile": Gesture(duration_s=2.4, play=_smile),
    "look_aside": Gesture(duration_s=2.0, play=_look_aside),
    "greet": Gesture(duration_s=2.2, play=_greet),
    # Those in the examples of the cloud's documentation.
    "shake_hands": Gesture(duration_s=2.6, play=_shake_hands),
    "idle_action": Gesture(duration_s=0.0, play=_nothing),
    "mute_action": Gesture(duration_s=2.4, play=_attend),
}
