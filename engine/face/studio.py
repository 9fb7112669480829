"""What the pictures of all tasks share: threads that paint, canvases, loops and a count."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import ParamSpec, TypeVar

import cv2

from engine.admission import Tally
from engine.face.canvas import MAX_KEPT, Background, Canvas, prepare_canvas
from engine.face.layout import Layout
from engine.face.looks import Look
from engine.face.loop import IdleLoop, make_loop

PAINTING_THREADS = 2

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class FrameCount:
    """Frames since the start: painted and encoded (some as key frames), played from a loop, and
    left out for lateness: when the one before is still being painted at their time."""

    painted: int = 0
    keys: int = 0
    looped: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is seen of a task apart from what its person does."""

    look: Look
    layout: Layout
    background: Background | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSet:
    """A scene in the making; both are ready some time after it was asked for."""

    canvas: Future[Canvas]
    loop: Future[IdleLoop]


class Studio:
    """Owns the threads: tasks paint in some, scenes are made in another, one after the other."""

    def __init__(self, painters: ThreadPoolExecutor, makers: ThreadPoolExecutor) -> None:
        self.count = FrameCount()
        self._painters = painters
        self._makers = makers
        self._sets: OrderedDict[Scene, SceneSet] = OrderedDict()
        self._phases = cycle((0, 1))

    def tally(self) -> Tally:
        """The frames that were to be painted so far."""
        return Tally(done=self.count.painted + self.count.late, late=self.count.late)

    def set_up(self, scene: Scene) -> SceneSet:
        """Have a scene made, unless it is already."""
        if scene not in self._sets:
            self._sets[scene] = self._make(scene)
            if len(self._sets) > MAX_KEPT:
                self._sets.popitem(last=False)
        self._sets.move_to_end(scene)
        return self._sets[scene]

    def next_phase(self) -> int:
        """Which ticks the next task has its frames at, even or odd: half of them each."""
        return next(self._phases)

    def paint(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do a job of a few milliseconds beside the event loop."""
        return self._painters.submit(job, *args, **kwargs)

    def _make(self, scene: Scene) -> SceneSet:
        canvas = self._makers.submit(prepare_canvas, scene.look, scene.layout, scene.background)
        return SceneSet(canvas=canvas, loop=self._makers.submit(lambda: make_loop(canvas.result())))


@contextmanager
def open_studio() -> Iterator[Studio]:
    """A studio; what is being painted or made at the end is still finished, what waits is not."""
    # Tasks are painted side by side; threads inside of OpenCV would only be in their way.
    cv2.setNumThreads(1)
    painters = ThreadPoolExecutor(PAINTING_THREADS, thread_name_prefix="painter")
    makers = ThreadPoolExecutor(1, thread_name_prefix="scene")
    try:
        yield Studio(painters, makers)
    finally:
        painters.shutdown(cancel_futures=True)
        makers.shutdown(cancel_futures=True)
