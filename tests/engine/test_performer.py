"""The performer: lips that follow speech, silence that closes them, actions that move the face."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.face.gestures import GESTURES
from engine.face.performer import HEAR_AHEAD_S, Performer
from engine.face.pose import Pose

SPEECH = Path(__file__).parents[1] / "data" / "speech"
TICK_S = 0.02
FRAME_S = 0.04
START_S = 100.0
# Fractions of the loud parts' envelope: below is a pause.
PAUSE = 0.03
PAUSE_FRAMES = 8

Samples = NDArray[np.int16]


def read_speech(path: Path) -> tuple[Samples, int]:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def perform(samples: Samples, rate: int, *, ahead_s: float = HEAR_AHEAD_S) -> list[Pose]:
    """The poses at 25 frames a second while the sound plays, and half a second more."""
    performer = Performer(seed=3)
    heard, poses = 0, []
    for tick in range(int((len(samples) / rate + 0.5) / TICK_S)):
        end = min(len(samples), round((tick * TICK_S + ahead_s) * rate))
        if end > heard:
            performer.hear(samples[heard:end], sample_rate=rate, at_s=START_S + heard / rate)
            heard = end
        if tick % 2 == 0:
            poses.append(performer.pose_at(START_S + tick * TICK_S))
    return poses


def envelope(samples: Samples, rate: int, frames: int) -> NDArray[np.float64]:
    size = round(FRAME_S * rate)
    padded = np.zeros(frames * size)
    padded[: min(len(samples), len(padded))] = samples[: len(padded)]
    level: NDArray[np.float64] = np.sqrt(np.mean(padded.reshape(frames, size) ** 2, axis=1))
    return level / np.percentile(level, 95)


def openings(poses: list[Pose]) -> NDArray[np.float64]:
    return np.array([pose.mouth_open for pose in poses])


@pytest.mark.parametrize("path", sorted(SPEECH.glob("*.wav")), ids=lambda path: path.stem)
def test_mouth_follows_speech_and_rests_in_pauses(path: Path) -> None:
    samples, rate = read_speech(path)
    mouth = openings(perform(samples, rate))
    level = envelope(samples, rate, len(mouth))
    assert np.corrcoef(mouth, level)[0, 1] > 0.6
    assert mouth.max() > 0.5
    quiet = np.convolve(level < PAUSE, np.ones(PAUSE_FRAMES), "valid") == PAUSE_FRAMES
    ends = np.flatnonzero(quiet) + PAUSE_FRAMES // 2
    assert len(ends)
    assert mouth[ends].max() < 0.1


def test_sound_that_arrives_in_real_time_still_moves_the_lips() -> None:
    samples, rate = read_speech(SPEECH / "en_kokoro_af_heart_2.wav")
    mouth = openings(perform(samples, rate, ahead_s=0.04))
    assert np.corrcoef(mouth, envelope(samples, rate, len(mouth)))[0, 1] > 0.6


def test_rate_of_the_sound_does_not_matter() -> None:
    samples, rate = read_speech(SPEECH / "en_kokoro_af_heart_2.wav")
    at = np.arange(0, len(samples) - 1, rate / 24000)
    faster = np.interp(at, np.arange(len(samples)), samples).astype(np.int16)
    one, other = openings(perform(samples, rate)), openings(perform(faster, 24000))
    assert np.corrcoef(one, other[: len(one)])[0, 1] > 0.97


def test_silence_keeps_the_mouth_closed() -> None:
    poses = perform(np.zeros(48000, np.int16), 24000)
    assert openings(poses).max() < 0.01


def test_hush_closes_the_mouth_within_two_frames() -> None:
    samples, rate = read_speech(SPEECH / "en_kokoro_af_heart_2.wav")
    speaking = openings(perform(samples, rate))
    widest = int(speaking.argmax())
    performer = Performer(seed=3)
    performer.hear(samples, sample_rate=rate, at_s=START_S)
    for frame in range(widest + 1):
        pose = performer.pose_at(START_S + frame * FRAME_S)
    assert pose.mouth_open > 0.5
    performer.hush()
    for frame in (widest + 1, widest + 2):
        pose = performer.pose_at(START_S + frame * FRAME_S)
    assert pose.mouth_open < 0.1
    assert sum(pose.consonants) < 0.1


def test_stutter_lets_the_mouth_rest_and_go_on() -> None:
    samples, rate = read_speech(SPEECH / "en_kokoro_af_heart_2.wav")
    first, rest = samples[rate : rate * 3 // 2], samples[rate * 3 // 2 : rate * 2]
    performer = Performer(seed=3)
    performer.hear(first, sample_rate=rate, at_s=START_S)
    before = [performer.pose_at(START_S + frame * FRAME_S) for frame in range(12)]
    gap = [performer.pose_at(START_S + 0.5 + frame * FRAME_S) for frame in range(25)]
    performer.hear(rest, sample_rate=rate, at_s=START_S + 1.5)
    after = [performer.pose_at(START_S + 1.5 + frame * FRAME_S) for frame in range(12)]
    assert openings(before).max() > 0.3
    assert openings(gap)[10:].max() < 0.05
    assert openings(after).max() > 0.3


def motion(pose: Pose) -> NDArray[np.float64]:
    head = pose.head
    return np.array(
        [head.yaw, head.pitch, head.roll, *pose.gaze, pose.brow, pose.smile, pose.mouth_round]
    )


@pytest.mark.parametrize("name", sorted(set(GESTURES) - {"idle", "idle_action"}))
def test_action_moves_the_face_and_ends(name: str) -> None:
    still, acting = Performer(seed=5), Performer(seed=5)
    for performer in (still, acting):
        performer.pose_at(START_S)
    acting.act(name)
    assert not acting.is_resting(START_S)
    moved = []
    for frame in range(1, 100):
        at_s = START_S + frame * FRAME_S
        moved.append(np.abs(motion(acting.pose_at(at_s)) - motion(still.pose_at(at_s))).max())
    assert max(moved) > 0.08
    assert max(moved[-10:]) == 0
    assert acting.is_resting(at_s)


def test_idle_ends_an_action() -> None:
    performer = Performer(seed=5)
    performer.pose_at(START_S)
    performer.act("smile")
    assert max(performer.pose_at(START_S + frame * FRAME_S).smile for frame in range(1, 20)) > 0.5
    performer.act("idle")
    assert performer.pose_at(START_S + 0.84).smile == 0


def test_unknown_action() -> None:
    with pytest.raises(KeyError):
        Performer().act("dance")


def test_idle_face_blinks_looks_around_and_moves() -> None:
    performer = Performer(seed=2)
    poses = [performer.pose_at(START_S + frame * FRAME_S) for frame in range(500)]
    assert performer.is_resting(START_S + 20)
    assert max(pose.blink for pose in poses) > 0.9
    assert max(abs(pose.gaze[0]) for pose in poses) > 0.3
    assert np.ptp([pose.head.yaw for pose in poses]) > 0.02
    assert np.ptp([pose.head.breath for pose in poses]) > 0.015
    steps = np.abs(np.diff([pose.head.yaw for pose in poses]))
    assert steps.max() < 0.01
