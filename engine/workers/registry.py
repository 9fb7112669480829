"""Which worker has which task: StreamIds are unique and the quota holds over all workers."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine.clock import Clock
from engine.contract.codes import Code, Refusal
from engine.contract.parameters import RtcConfig
from engine.tasks.callbacks import EventType, Notice
from engine.tasks.drives import DriveStatus
from engine.tasks.lifecycle import MAX_REMEMBERED, REMEMBERED_S
from engine.tasks.task import TaskStatus
from engine.workers.worker import Worker

RUNNING_DRIVE = (DriveStatus.QUEUED, DriveStatus.DRIVING)
OVER = (TaskStatus.FAILED, TaskStatus.STOPPED)


@dataclass(slots=True, kw_only=True)
class Assignment:
    """One task and its worker, which is None once it is lost."""

    task_id: str
    room_id: str
    stream_id: str
    worker: Worker | None
    drives: set[str] = field(default_factory=set)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0

    def require_worker(self) -> Worker:
        """Return the worker of the task; raises `Refusal` if the task was lost with it."""
        if self.worker is None:
            raise Refusal(Code.STREAM_STOPPED)
        return self.worker


@dataclass(slots=True)
class Reservation:
    """A StreamId whose task is being created, and by which worker."""

    worker: Worker | None = None


class WorkerRegistry:
    """All live tasks, and for an hour those that have ended."""

    def __init__(self, *, clock: Clock, max_tasks: int) -> None:
        self._clock = clock
        self._max_tasks = max_tasks
        self._live: dict[str, Assignment] = {}
        self._past: OrderedDict[str, Assignment] = OrderedDict()
        self._reserved: dict[str, Reservation] = {}

    @contextmanager
    def reserving(self, stream_id: str) -> Iterator[Reservation]:
        """Reserve a StreamId and a place for a new task; raises `Refusal` if there is none."""
        if stream_id in self._reserved or self.find_stream(stream_id) is not None:
            raise Refusal(Code.STREAM_ID_IN_USE)
        if len(self._live) + len(self._reserved) >= self._max_tasks:
            raise Refusal(Code.CONCURRENCY_EXCEEDED, f"at most {self._max_tasks} tasks")
        reservation = self._reserved[stream_id] = Reservation()
        try:
            yield reservation
        finally:
            del self._reserved[stream_id]

    def assign(self, worker: Worker, task_id: str, rtc: RtcConfig) -> None:
        """Record the worker of a new task, unless its notices came first."""
        if task_id not in self._live and task_id not in self._past:
            self._add(worker, task_id, rtc.room_id, rtc.stream_id)

    def follow(self, worker: Worker, notice: Notice) -> None:
        """Record an event of a task."""
        assignment = self._live.get(notice.task_id)
        status = notice.detail["Status"]
        match notice.event_type:
            case EventType.TASK_STATUS if status in OVER:
                if assignment is not None:
                    self._end(assignment)
            case EventType.TASK_STATUS if assignment is None:
                detail = notice.detail
                self._add(worker, notice.task_id, detail["RoomId"], detail["StreamId"])
            case EventType.DRIVE_STATUS if assignment is not None:
                if status in RUNNING_DRIVE:
                    assignment.drives.add(notice.detail["DriveId"])
                else:
                    assignment.drives.discard(notice.detail["DriveId"])

    def lose(self, worker: Worker) -> list[Notice]:
        """End all tasks of a lost worker; return the notices to send."""
        notices = []
        for assignment in [
            assignment for assignment in self._live.values() if assignment.worker is worker
        ]:
            notices += self._notices_of_loss(assignment)
            self._end(assignment)
        for assignment in self._past.values():
            if assignment.worker is worker:
                assignment.worker = None
        return notices

    def count(self, worker: Worker) -> int:
        """Return how many tasks a worker has or is about to have."""
        reserved = sum(each.worker is worker for each in self._reserved.values())
        return reserved + sum(each.worker is worker for each in self._live.values())

    def get(self, task_id: str) -> Assignment:
        """Return a live or past task; raises `Refusal` if it is unknown."""
        self._forget()
        assignment = self._live.get(task_id) or self._past.get(task_id)
        if assignment is None:
            raise Refusal(Code.TASK_NOT_FOUND)
        return assignment

    def find_stream(self, stream_id: str) -> Assignment | None:
        """Return the live task of a stream."""
        return next(
            (assignment for assignment in self._live.values() if assignment.stream_id == stream_id),
            None,
        )

    def find_past_stream(self, stream_id: str) -> Assignment | None:
        """Return the live task of a stream, else the latest that had it."""
        past = (
            assignment
            for assignment in reversed(self._past.values())
            if assignment.stream_id == stream_id
        )
        return self.find_stream(stream_id) or next(past, None)

    def _add(self, worker: Worker, task_id: str, room_id: str, stream_id: str) -> None:
        self._live[task_id] = Assignment(
            task_id=task_id, room_id=room_id, stream_id=stream_id, worker=worker
        )

    def _end(self, assignment: Assignment) -> None:
        del self._live[assignment.task_id]
        assignment.ended_at = self._clock.monotonic()
        self._past[assignment.task_id] = assignment
        assignment.ended.set()
        self._forget()

    def _notices_of_loss(self, assignment: Assignment) -> list[Notice]:
        now_ms = int(self._clock.time() * 1000)
        drives = [
            Notice(
                event_type=EventType.DRIVE_STATUS,
                task_id=assignment.task_id,
                event_time_ms=now_ms,
                detail={"DriveId": drive_id, "Status": DriveStatus.FAILED},
            )
            for drive_id in sorted(assignment.drives)
        ]
        end = Notice(
            event_type=EventType.TASK_STATUS,
            task_id=assignment.task_id,
            event_time_ms=now_ms,
            detail={
                "Status": TaskStatus.STOPPED,
                "RoomId": assignment.room_id,
                "StreamId": assignment.stream_id,
            },
            is_last=True,
        )
        return [*drives, end]

    def _forget(self) -> None:
        horizon = self._clock.monotonic() - REMEMBERED_S
        while self._past:
            oldest = next(iter(self._past.values()))
            if len(self._past) <= MAX_REMEMBERED and oldest.ended_at >= horizon:
                return
            del self._past[oldest.task_id]
