"""The life of tasks, from creation through on air to the end, one coroutine each."""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog

from engine.admission import Admission
from engine.audio.recordings import Recordings
from engine.clock import Clock
from engine.contract.codes import Code, Refusal
from engine.contract.faults import Faults, InitFailure, SlowInit
from engine.contract.parameters import CreateTask
from engine.face.performer import Performer
from engine.face.screen import Screen
from engine.face.studio import Studio
from engine.tasks.callbacks import EventType, Notice, Notices
from engine.tasks.digital_humans import choose_scene
from engine.tasks.drives import Drive
from engine.tasks.playout import PlayoutClock
from engine.tasks.stage import Stage
from engine.tasks.task import Task, TaskRules, TaskStatus

REMEMBERED_S = 3600.0
MAX_REMEMBERED = 1000
CREATE = "CreateDigitalHumanStreamTask"

log = structlog.get_logger()


class Tasks:
    """All live tasks, and for an hour those that have ended."""

    def __init__(
        self,
        *,
        rules: TaskRules,
        clock: Clock,
        playout_clock: PlayoutClock,
        admission: Admission,
        notices: Notices,
        faults: Faults,
        recordings: Recordings,
        studio: Studio,
        group: asyncio.TaskGroup,
    ) -> None:
        self.rules = rules
        self._clock = clock
        self._playout_clock = playout_clock
        self._admission = admission
        self._notices = notices
        self._faults = faults
        self._recordings = recordings
        self._studio = studio
        self._group = group
        self._live: dict[str, Task] = {}
        self._past: OrderedDict[str, Task] = OrderedDict()

    @property
    def live(self) -> list[Task]:
        return list(self._live.values())

    def create(self, request: CreateTask) -> Task:
        """Start a task; raises `Refusal`: StreamId in use, quota exceeded, or no capacity."""
        if self.find_stream(request.rtc_config.stream_id) is not None:
            raise Refusal(Code.STREAM_ID_IN_USE)
        if len(self._live) >= self.rules.max_tasks:
            raise Refusal(Code.CONCURRENCY_EXCEEDED, f"at most {self.rules.max_tasks} tasks")
        # If no task is running, none can suffer.
        if self._live and not self._admission.has_room:
            raise Refusal(Code.NO_RESOURCE, "the running tasks need all that this machine has")
        task = Task(request, self._clock.time())
        self._live[task.task_id] = task
        self._group.create_task(self._run(task))
        return task

    def get(self, task_id: str) -> Task:
        """Return a live or past task; raises `Refusal` if it is unknown."""
        self._forget()
        task = self._live.get(task_id) or self._past.get(task_id)
        if task is None:
            raise Refusal(Code.TASK_NOT_FOUND)
        return task

    def find_stream(self, stream_id: str) -> Task | None:
        """Return the live task of a stream."""
        return next((task for task in self._live.values() if task.stream_id == stream_id), None)

    def find_past_stream(self, stream_id: str) -> Task | None:
        """Return the live task of a stream, else the latest that had it."""
        past = (task for task in reversed(self._past.values()) if task.stream_id == stream_id)
        return self.find_stream(stream_id) or next(past, None)

    async def stop(self, task: Task) -> None:
        """Stop a task and wait for its end; raises `Refusal` if it is already over."""
        if task.is_over or task.stopping.is_set():
            raise Refusal(Code.STREAM_STOPPED)
        task.stopping.set()
        await task.ended.wait()

    async def stop_all(self) -> None:
        """Stop all live tasks."""
        tasks = self.live
        for task in tasks:
            task.stopping.set()
        for task in tasks:
            await task.ended.wait()

    async def _run(self, task: Task) -> None:
        try:
            await self._run_to_end(task)
        except Exception:
            log.exception("task failed", task_id=task.task_id)
            task.fail_reason = "internal error"
            self._enter(task, TaskStatus.FAILED)
        finally:
            del self._live[task.task_id]
            task.ended_at = self._clock.monotonic()
            self._past[task.task_id] = task
            task.ended.set()
            self._forget()

    async def _run_to_end(self, task: Task) -> None:
        self._enter(task, TaskStatus.INITIALISING)
        slow = self._faults.take(SlowInit, CREATE)
        failure = self._faults.take(InitFailure, CREATE)
        delay_s = self.rules.init_delay_s + (slow.seconds if slow else 0.0)
        if await self._clock.wait(task.stopping, delay_s):
            self._enter(task, TaskStatus.STOPPING)
        elif failure is not None:
            task.fail_reason = failure.reason
            self._enter(task, TaskStatus.FAILED)
            return
        else:
            await self._stream(task)
        self._enter(task, TaskStatus.STOPPED)

    async def _stream(self, task: Task) -> None:
        performer = Performer(seed=zlib.crc32(task.task_id.encode()))
        scene = choose_scene(task.request, self.rules.layout)
        screen = Screen(studio=self._studio, scene=scene, performer=performer)
        # Viewers will join soon, and the first one should not have to wait.
        screen.prepare()
        stage = Stage(
            clock=self._clock,
            faults=self._faults,
            record=partial(self._recordings.open, stream_id=task.stream_id),
            announce=lambda drive: self._report_drive(task, drive),
            performer=performer,
            screen=screen,
        )
        async with stage:
            with self._playout_clock.driving(stage):
                task.stage = stage
                self._enter(task, TaskStatus.STREAMING)
                await self._wait_for_end(task, stage)
            self._enter(task, TaskStatus.STOPPING)

    async def _wait_for_end(self, task: Task, stage: Stage) -> None:
        ttl_end = self._clock.monotonic() + task.request.ttl
        while True:
            idle_end = stage.driven_at + task.request.max_idle_time
            left_s = min(ttl_end, idle_end) - self._clock.monotonic()
            if left_s <= 0 or await self._clock.wait(task.stopping, left_s):
                task.stopping.set()
                return

    def _enter(self, task: Task, status: TaskStatus) -> None:
        task.status = status
        log.info("task status", task_id=task.task_id, status=status.name)
        detail: dict[str, Any] = {
            "Status": status,
            "RoomId": task.room_id,
            "StreamId": task.stream_id,
        }
        if status is TaskStatus.FAILED:
            detail["FailReason"] = task.fail_reason
        self._report(task, EventType.TASK_STATUS, detail)

    def _report_drive(self, task: Task, drive: Drive) -> None:
        log.info("drive status", drive_id=drive.drive_id, status=drive.status.name)
        detail = {"DriveId": drive.drive_id, "Status": self.rules.shown_status(drive)}
        self._report(task, EventType.DRIVE_STATUS, detail)

    def _report(self, task: Task, event_type: EventType, detail: dict[str, Any]) -> None:
        self._notices.send(
            Notice(
                event_type=event_type,
                task_id=task.task_id,
                event_time_ms=int(self._clock.time() * 1000),
                detail=detail,
                is_last=task.is_over,
            )
        )

    def _forget(self) -> None:
        horizon = self._clock.monotonic() - REMEMBERED_S
        while self._past:
            oldest = next(iter(self._past.values()))
            if len(self._past) <= MAX_REMEMBERED and oldest.ended_at >= horizon:
                return
            del self._past[oldest.task_id]


@asynccontextmanager
async def keeping_tasks(
    *,
    rules: TaskRules,
    clock: Clock,
    playout_clock: PlayoutClock,
    admission: Admission,
    notices: Notices,
    faults: Faults,
    recordings: Recordings,
    studio: Studio,
) -> AsyncIterator[Tasks]:
    """Open tasks that are all stopped at the end."""
    async with asyncio.TaskGroup() as group:
        tasks = Tasks(
            rules=rules,
            clock=clock,
            playout_clock=playout_clock,
            admission=admission,
            notices=notices,
            faults=faults,
            recordings=recordings,
            studio=studio,
            group=group,
        )
        try:
            yield tasks
        finally:
            await tasks.stop_all()
