"""How an idle face moves: breath, small head movements, glances, blinks."""

import math

import numpy as np

from engine.face.pose import HeadPose, Pose, ease

BREATH_PERIOD_S = 4.1
BREATH_DM = 0.012
BLINK_S = 0.26
BLINK_CLOSING_S = 0.10
BLINK_OPENING_AT_S = 0.12
GAZE_TIME_S = 0.05
ENERGY_TIME_S = 0.14
BROW_SHARE = 0.7
MAX_BROW = 0.6
# Nearly as far as the eyes go: blending two pictures of eyes shows four irises.
SIDE_GLANCES = (0.0, 0.0, 0.0, 0.0, 0.9, -0.9)
DOWN_GLANCES = (0.0, 0.0, 0.0, 0.6)

LOOP_S = 8.0
LOOP_BLINKS_S = (1.7, 5.4)


class IdleMotion:
    """Never the same twice; livelier while speaking."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._phases: list[float] = self._random.uniform(0.0, 2 * math.pi, 12).tolist()
        self._at_s = -math.inf
        self._energy = 0.0
        self._blink_at_s = -math.inf
        self._next_blink_s = 0.0
        self._next_glance_s = 0.0
        self._glance = (0.0, 0.0)
        self._gaze = (0.0, 0.0)

    def at(self, at_s: float, energy: float) -> Pose:
        """Return the pose at a time, later than the previous call's; energy of speech is 0 to 1."""
        passed_s = at_s - self._at_s
        if not 0 <= passed_s < 1:
            passed_s = 0.0
            self._next_blink_s = at_s + 1.5
            self._next_glance_s = at_s + 2.0
        self._at_s = at_s
        self._energy += (energy - self._energy) * approach(passed_s, ENERGY_TIME_S)
        return Pose(
            blink=self._blink(at_s),
            gaze=self._look(at_s, passed_s),
            brow=self._raise_brow(at_s),
            head=self._move(at_s),
        )

    def _move(self, at_s: float) -> HeadPose:
        liveliness = 0.6 + 0.8 * self._energy
        return HeadPose(
            yaw=self._wander(at_s, 0.050, 0.55, 0) * liveliness,
            pitch=self._wander(at_s, 0.028, 0.72, 3) * liveliness - 0.02 * self._energy,
            roll=self._wander(at_s, 0.022, 0.47, 6) * liveliness,
            sway=self._wander(at_s, 0.03, 0.38, 9),
            breath=BREATH_DM * math.sin(2 * math.pi * at_s / BREATH_PERIOD_S),
        )

    def _wander(self, at_s: float, amplitude: float, pace: float, first: int) -> float:
        one, two, three = self._phases[first : first + 3]
        return (
            amplitude
            * (
                math.sin(pace * at_s + one)
                + 0.6 * math.sin(pace * 1.71 * at_s + two)
                + 0.4 * math.sin(pace * 2.63 * at_s + three)
            )
            / 2
        )

    def _blink(self, at_s: float) -> float:
        if at_s > self._next_blink_s:
            self._blink_at_s = at_s
            soon = self._random.random() <= 0.15
            self._next_blink_s = at_s + self._random.uniform(2.0, 5.0) - (1.7 if soon else 0.0)
        return blink_after(at_s - self._blink_at_s)

    def _look(self, at_s: float, passed_s: float) -> tuple[float, float]:
        if at_s > self._next_glance_s:
            self._next_glance_s = at_s + self._random.uniform(1.2, 3.5)
            self._glance = (
                float(self._random.choice(SIDE_GLANCES)),
                float(self._random.choice(DOWN_GLANCES)),
            )
        share = approach(passed_s, GAZE_TIME_S)
        (x, y), (to_x, to_y) = self._gaze, self._glance
        self._gaze = (x + (to_x - x) * share, y + (to_y - y) * share)
        return self._gaze

    def _raise_brow(self, at_s: float) -> float:
        emphasis = ease((math.sin(0.9 * at_s + self._phases[2]) - 0.6) / 0.3)
        return min(BROW_SHARE * self._energy * emphasis, MAX_BROW)


def loop_pose(at_s: float) -> Pose:
    """Return a pose of the idle loop, which after `LOOP_S` ends as it began."""
    turn = 2 * math.pi * (at_s % LOOP_S) / LOOP_S
    return Pose(
        blink=max(blink_after(at_s % LOOP_S - blink_s) for blink_s in LOOP_BLINKS_S),
        head=HeadPose(
            yaw=0.03 * math.sin(turn),
            pitch=0.015 * math.sin(2 * turn),
            roll=0.012 * (math.sin(turn + 1) - math.sin(1)),
            breath=BREATH_DM * math.sin(2 * turn),
        ),
    )


def blink_after(since_s: float) -> float:
    """Return how closed the eyes are at a time after a blink began."""
    if not 0 <= since_s <= BLINK_S:
        return 0.0
    if since_s < BLINK_CLOSING_S:
        return ease(since_s / (BLINK_CLOSING_S - 0.01))
    return 1.0 - ease((since_s - BLINK_OPENING_AT_S) / (BLINK_S - BLINK_OPENING_AT_S))


def approach(passed_s: float, time_s: float) -> float:
    """Return the share of the way to a goal covered in a time, by exponential smoothing."""
    return 1.0 - math.exp(-passed_s / time_s)
