"""The acting of a digital human: poses from its speech and its gestures."""

import math
from collections import deque
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from engine.audio.sound import Resampler, Samples
from engine.face.gestures import GESTURES, Gesture
from engine.face.idle import IdleMotion, approach
from engine.face.lips import SPEECH_RATE, LipReader, MouthShape
from engine.face.pose import CLOSED, Pose, Weights

# How far ahead of playout the sound is needed, so that the lips are never late.
HEAR_AHEAD_S = 0.1
# A shape is shown this much before its sound, as frames last and smoothing delays it.
LEAD_S = 0.03
# With no newer shape than this the mouth closes.
STALE_S = 0.08
OPEN_TIME_S = 0.035
ROUND_TIME_S = 0.055
CONSONANT_TIME_S = 0.044
# What immediately remains of the opening when the sound is cut off; smoothing closes the rest.
HUSHED_SHARE = 0.3
# With more time between two poses, the later does not continue the earlier one.
MAX_PASSED_S = 0.5
# A face that was quiet this long is at rest.
REST_AFTER_S = 0.4
QUIET = 0.02
LOUDEST_INT16 = 32768.0


class _Playing(NamedTuple):
    gesture: Gesture
    since_s: float


class Performer:
    """Turns sound and actions into poses, on the playout clock of the sound.

    All times are seconds of that clock, and all calls are made from one thread. `pose_at` may be
    called at any rate and does all the work: nothing is computed for a face without viewers.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._idle = IdleMotion(seed)
        self._speech: _Speech | None = None
        self._told: Gesture | None = None
        self._playing: _Playing | None = None
        self._posed_s = -math.inf
        self._pose = Pose()
        self._busy_s = -math.inf
        self._open = 0.0
        self._round = 0.0
        self._consonants: Weights = CLOSED

    def hear(self, samples: Samples, *, sample_rate: int, at_s: float) -> None:
        """Mono sound that will be played from `at_s` on, after what was heard before.

        It should arrive up to `HEAR_AHEAD_S` before it is played. A gap counts as silence.
        """
        if self._speech is None or self._speech.sample_rate != sample_rate:
            self._speech = _Speech(sample_rate)
        self._speech.hear(samples, at_s)
        self._busy_s = max(self._busy_s, at_s)

    def hush(self) -> None:
        """Cut off the sound: drop what has not been spoken, and close the mouth."""
        if self._speech is not None:
            self._speech = None
            self._open *= HUSHED_SHARE
            self._consonants = CLOSED

    def act(self, name: str) -> None:
        """Play one of `GESTURES` from the next pose on, instead of what is being played.

        Raises `KeyError` for any other name.
        """
        self._told = GESTURES[name]

    def is_resting(self, at_s: float) -> bool:
        """Return whether there is only idle motion at a time, and was for a while before."""
        return self._told is None and at_s - self._busy_s >= REST_AFTER_S

    def pose_at(self, at_s: float) -> Pose:
        """Return the pose at a time; the latest pose again for a past one."""
        passed_s = min(at_s - self._posed_s, MAX_PASSED_S)
        if passed_s > 0:
            self._posed_s = at_s
            self._pose = self._move(at_s, passed_s)
        return self._pose

    def _move(self, at_s: float, passed_s: float) -> Pose:
        speaking = self._speak(at_s, passed_s)
        pose = replace(
            self._idle.at(at_s, min(1.0, self._open * 1.6)),
            mouth_open=self._open,
            mouth_round=self._round,
            consonants=self._consonants,
        )
        gesture = self._play(at_s)
        if speaking or gesture is not None:
            self._busy_s = at_s
        return pose if gesture is None else _add(pose, gesture)

    def _speak(self, at_s: float, passed_s: float) -> bool:
        shape = None if self._speech is None else self._speech.shape_at(at_s + LEAD_S)
        opening, rounding, consonants = (0.0, 0.0, CLOSED) if shape is None else shape[1:]
        self._open += (opening - self._open) * approach(passed_s, OPEN_TIME_S)
        self._round += (rounding - self._round) * approach(passed_s, ROUND_TIME_S)
        share = approach(passed_s, CONSONANT_TIME_S)
        one, two, three, four, five = (
            now + (goal - now) * share
            for now, goal in zip(self._consonants, consonants, strict=True)
        )
        self._consonants = (one, two, three, four, five)
        return shape is not None or self._open > QUIET

    def _play(self, at_s: float) -> Pose | None:
        if self._told is not None:
            self._playing = _Playing(self._told, at_s)
            self._told = None
        if self._playing is None:
            return None
        gesture, since_s = self._playing
        if at_s - since_s >= gesture.duration_s:
            self._playing = None
            return None
        return gesture.play(at_s - since_s)


class _Speech:
    """One piece of speech on its way to the lips."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._resampler = Resampler(source_rate=sample_rate, rate=SPEECH_RATE)
        self._reader = LipReader()
        self._heard_s = 0.0
        # What to add to a time of the speech for the time of the clock; grows at every gap.
        self._start_s = 0.0
        self._unread: list[Samples] = []
        self._shapes: deque[MouthShape] = deque()

    def hear(self, samples: Samples, at_s: float) -> None:
        self._start_s = at_s - self._heard_s
        self._heard_s += len(samples) / self.sample_rate
        self._unread.append(samples)

    def shape_at(self, at_s: float) -> MouthShape | None:
        """Return the latest shape that is due, None if all are stale or none is known yet."""
        if self._unread:
            self._read()
        due_s = at_s - self._start_s
        while len(self._shapes) > 1 and self._shapes[1].at_s <= due_s:
            self._shapes.popleft()
        if not self._shapes or not -STALE_S < due_s - self._shapes[0].at_s < STALE_S:
            return None
        return self._shapes[0]

    def _read(self) -> None:
        heard = np.concatenate(self._unread)
        self._unread.clear()
        for samples in self._resample(heard):
            self._shapes.extend(self._reader.read(samples.astype(np.float32) / LOUDEST_INT16))

    def _resample(self, samples: Samples) -> list[Samples]:
        if self.sample_rate == SPEECH_RATE:
            return [samples]
        return self._resampler.push(samples)


def _add(pose: Pose, gesture: Pose) -> Pose:
    # A speaking mouth keeps its shape; otherwise the gesture's applies.
    free = max(0.0, 1.0 - pose.mouth_open * 4.0 - sum(pose.consonants))
    return Pose(
        mouth_open=min(1.0, pose.mouth_open + gesture.mouth_open * free),
        mouth_round=max(-1.0, min(1.0, pose.mouth_round + gesture.mouth_round * free)),
        consonants=pose.consonants,
        blink=pose.blink,
        gaze=(
            max(-1.0, min(1.0, pose.gaze[0] + gesture.gaze[0])),
            max(-1.0, min(1.0, pose.gaze[1] + gesture.gaze[1])),
        ),
        brow=min(1.0, pose.brow + gesture.brow),
        smile=min(1.0, pose.smile + gesture.smile),
        head=pose.head + gesture.head,
    )
