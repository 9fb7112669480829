"""What one task shows at each tick: frames of the idle loop, or painted ones."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from engine.face.canvas import Canvas
from engine.face.encoder import FRAME_RATE, Frame, FrameEncoder, VideoPacket, make_packet
from engine.face.loop import IdleLoop
from engine.face.painter import Painter
from engine.face.performer import Performer
from engine.face.pose import Pose, ease, pull
from engine.face.studio import Scene, SceneSet, Studio

# Head and gaze blend from the loop to live motion, and back, within this time.
LEAD_OVER_S = 0.5
TICKS_PER_S = 50
TICKS_PER_FRAME = TICKS_PER_S // FRAME_RATE
LEAD_STEP = 1.0 / (LEAD_OVER_S * FRAME_RATE)


class _Easel:
    """Painter and encoder of one task; its jobs never overlap."""

    def __init__(self, canvas: Canvas) -> None:
        self._painter = Painter(canvas)
        self._encoder = FrameEncoder(canvas.width, canvas.height)

    def draw(self, pose: Pose, as_key: bool) -> Frame:
        return self._encoder.encode(self._painter.paint(pose), as_key=as_key)


class _Drawing(NamedTuple):
    due: int
    frame: Future[Frame]


@dataclass(frozen=True, slots=True)
class _Lead:
    """How far the pose is blended towards one of the loop."""

    anchor: Pose
    share: float = 0.0

    def towards(self, home: Pose) -> "_Lead":
        # A previous anchor must be released before the way back starts.
        if self.share > 0.0 and self.anchor is not home:
            return self.away()
        return _Lead(home, min(1.0, self.share + LEAD_STEP))

    def away(self) -> "_Lead":
        return _Lead(self.anchor, max(0.0, self.share - LEAD_STEP))


class Screen:
    """Returns at each tick what is due; paints one tick ahead, to be on time.

    Without viewers it is put to rest, and costs neither time nor memory.
    """

    def __init__(self, *, studio: Studio, scene: Scene, performer: Performer) -> None:
        self._studio = studio
        self._scene = scene
        self._performer = performer
        self._phase = studio.next_phase()
        self._easel: _Easel | None = None
        self._drawing: _Drawing | None = None
        self._wants_key = True
        self._loop_at: int | None = None
        self._lead = _Lead(Pose())

    def prepare(self) -> SceneSet:
        """Prepare what painting needs, unless it is ready."""
        return self._studio.set_up(self._scene)

    def want_key(self) -> None:
        """Make the next frame one that a decoder can start with."""
        self._wants_key = True

    def rest(self) -> None:
        """Without viewers, drop what painting needs, and what is being painted."""
        self._easel = None
        self._drawing = None
        self._loop_at = None
        self._lead = _Lead(Pose())

    def tick(self, index: int) -> "VideoPacket | None":
        """Return the packet for the sound of this tick, if a frame is due or was late."""
        packet = self._collect()
        if (index + self._phase) % TICKS_PER_FRAME == 0:
            return packet or self._play(index)
        self._begin(index + 1)
        return packet

    def _collect(self) -> "VideoPacket | None":
        if self._drawing is None or not self._drawing.frame.done():
            return None
        drawing, self._drawing = self._drawing, None
        frame = drawing.frame.result()
        self._studio.count.painted += 1
        self._studio.count.keys += frame.is_key
        return make_packet(frame, drawing.due / TICKS_PER_S)

    def _play(self, index: int) -> "VideoPacket | None":
        loop = self._ready_loop()
        if self._loop_at is None or loop is None:
            return None
        packet = make_packet(loop.frames[self._loop_at], index / TICKS_PER_S)
        self._studio.count.looped += 1
        return packet

    def _begin(self, due: int) -> None:
        """Decide what the next frame shows, and start to paint it if needed."""
        loop, due_s = self._ready_loop(), due / TICKS_PER_S
        resting = self._performer.is_resting(due_s) and not self._wants_key
        if self._loop_at is not None and loop is not None:
            if resting:
                self._loop_at = (self._loop_at + 1) % len(loop.frames)
                return
            self._lead = _Lead(loop.poses[self._loop_at], 1.0)
            self._loop_at = None
            self._wants_key = True
        if self._drawing is not None:
            self._studio.count.late += 1
            return
        if loop is not None and resting:
            if self._lead.share >= 1.0:
                self._loop_at = 0
                return
            self._lead = self._lead.towards(loop.poses[0])
        else:
            self._lead = self._lead.away()
        self._paint(due)

    def _paint(self, due: int) -> None:
        if self._easel is None:
            canvas = self.prepare().canvas
            if not canvas.done():
                return
            self._easel = _Easel(canvas.result())
        pose = self._performer.pose_at(due / TICKS_PER_S)
        led = pull(pose, self._lead.anchor, ease(self._lead.share))
        self._drawing = _Drawing(due, self._studio.paint(self._easel.draw, led, self._wants_key))
        self._wants_key = False

    def _ready_loop(self) -> IdleLoop | None:
        loop = self.prepare().loop
        return loop.result() if loop.done() else None
