"""What a face does at one moment: all that a renderer needs, without pixels."""

from dataclasses import dataclass

# The closures and narrowings that a mouth opening alone cannot show, in the order of the weights.
CONSONANTS = ("PP", "FF", "TH", "SS", "CH")
CLOSED = (0.0, 0.0, 0.0, 0.0, 0.0)

Weights = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPose:
    """Where the head is: turned right, bowed, and tilted in radians; moved aside, and the
    shoulders lifted by breath, in decimetres."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    sway: float = 0.0
    breath: float = 0.0

    def __add__(self, other: "HeadPose") -> "HeadPose":
        return HeadPose(
            yaw=self.yaw + other.yaw,
            pitch=self.pitch + other.pitch,
            roll=self.roll + other.roll,
            sway=self.sway + other.sway,
            breath=self.breath + other.breath,
        )

    def scaled(self, share: float) -> "HeadPose":
        """Return this, scaled from rest."""
        return HeadPose(
            yaw=self.yaw * share,
            pitch=self.pitch * share,
            roll=self.roll * share,
            sway=self.sway * share,
            breath=self.breath * share,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """One moment of a face; the default is at rest, eyes open, lips closed.

    `mouth_open` is 0 to 1, `mouth_round` -1 (wide) to 1 (pursed), `consonants` the weights of
    `CONSONANTS`, whose sum is at most 1. `blink`, `brow` (raised) and `smile` (of the eyes) are 0
    to 1; `gaze` is right and down, -1 to 1.
    """

    mouth_open: float = 0.0
    mouth_round: float = 0.0
    consonants: Weights = CLOSED
    blink: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    brow: float = 0.0
    smile: float = 0.0
    head: HeadPose = HeadPose()


def pull(pose: Pose, towards: Pose, share: float) -> Pose:
    """Return a pose with head and gaze blended towards another; mouth and blink stay its own.

    Speech must not wait for the head, and an eye must not stay half closed on the way.
    """
    if share <= 0.0:
        return pose
    rest = 1.0 - share
    return Pose(
        mouth_open=pose.mouth_open,
        mouth_round=pose.mouth_round,
        consonants=pose.consonants,
        blink=pose.blink,
        gaze=(
            pose.gaze[0] * rest + towards.gaze[0] * share,
            pose.gaze[1] * rest + towards.gaze[1] * share,
        ),
        brow=pose.brow * rest + towards.brow * share,
        smile=pose.smile * rest + towards.smile * share,
        head=pose.head.scaled(rest) + towards.head.scaled(share),
    )


def ease(progress: float) -> float:
    """Return a value from 0 to 1 with a soft start and end."""
    clamped = min(max(progress, 0.0), 1.0)
    return clamped * clamped * (3.0 - 2.0 * clamped)
