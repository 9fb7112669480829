"""The idle loop of a canvas: painted and encoded once, then played at no cost."""

from dataclasses import dataclass
from functools import lru_cache

from engine.face.canvas import MAX_KEPT, Canvas
from engine.face.encoder import FRAME_RATE, Frame, FrameEncoder
from engine.face.idle import LOOP_S, loop_pose
from engine.face.painter import Painter
from engine.face.pose import Pose

LOOP_FRAMES = round(LOOP_S * FRAME_RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleLoop:
    """Encoded frames with their poses; the first is a key frame and follows the last."""

    frames: tuple[Frame, ...]
    poses: tuple[Pose, ...]


@lru_cache(maxsize=MAX_KEPT)
def make_loop(canvas: Canvas) -> IdleLoop:
    """Paint and encode a whole loop, which takes about a second; recent ones are cached."""
    painter, encoder = Painter(canvas), FrameEncoder(canvas.width, canvas.height)
    poses = tuple(loop_pose(number / FRAME_RATE) for number in range(LOOP_FRAMES))
    frames = tuple(
        encoder.encode(painter.paint(pose), as_key=number == 0) for number, pose in enumerate(poses)
    )
    return IdleLoop(frames=frames, poses=poses)
