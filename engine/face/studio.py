"""What the pictures of all tasks share: painting threads, canvases, loops and counters."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
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
    skipped, because the previous one was still being painted."""

    painted: int = 0
    keys: int = 0
    looped: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a task shows apart from how its digital human acts."""

    look: Look
    layout: Layout
    background: Background | None = None


class SceneSet:
    """A scene in preparation: what is asked for is ready some time later."""

    def __init__(self, scene: Scene, makers: ThreadPoolExecutor) -> None:
        self._makers = makers
        self.canvas: Future[Canvas] = makers.submit(
            prepare_canvas, scene.look, scene.layout, scene.background
        )

    @cached_property
    def loop(self) -> Future[IdleLoop]:
        """The idle loop, which only those who are watched ask for."""
        return self._makers.submit(lambda: make_loop(self.canvas.result()))


class Studio:
    """Owns the threads: tasks paint in some, and scenes are made in another, one at a time."""

    def __init__(self, painters: ThreadPoolExecutor, makers: ThreadPoolExecutor) -> None:
        self.count = FrameCount()
        self._painters = painters
        self._makers = makers
        self._sets: OrderedDict[Scene, SceneSet] = OrderedDict()
        self._phases = cycle((0, 1))

    def tally(self) -> Tally:
        """Return the frames that were due so far."""
        return Tally(done=self.count.painted + self.count.late, late=self.count.late)

    def set_up(self, scene: Scene) -> SceneSet:
        """Prepare a scene, unless it is already."""
        if scene not in self._sets:
            self._sets[scene] = SceneSet(scene, self._makers)
            if len(self._sets) > MAX_KEPT:
                self._sets.popitem(last=False)
        self._sets.move_to_end(scene)
        return self._sets[scene]

    def next_phase(self) -> int:
        """Return the parity of the ticks at which the next task has its frames, alternating."""
        return next(self._phases)

    def paint(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a job of a few milliseconds outside the event loop."""
        return self._painters.submit(job, *args, **kwargs)


@contextmanager
def open_studio() -> Iterator[Studio]:
    """Open a studio; at the end, running jobs are finished, waiting ones are dropped."""
    # Tasks are painted in parallel; threads inside OpenCV would only get in the way.
    cv2.setNumThreads(1)
    painters = ThreadPoolExecutor(PAINTING_THREADS, thread_name_prefix="painter")
    makers = ThreadPoolExecutor(1, thread_name_prefix="scene")
    try:
        yield Studio(painters, makers)
    finally:
        painters.shutdown(cancel_futures=True)
        makers.shutdown(cancel_futures=True)
