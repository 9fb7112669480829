"""One task as its owner and its callers see it."""

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from engine.contract.codes import Code, Refusal
from engine.contract.parameters import CreateTask
from engine.face.layout import Layout
from engine.tasks.drives import Drive, DriveStatus
from engine.tasks.stage import Stage

MAX_VIOLATIONS = 100


class TaskStatus(IntEnum):
    INITIALISING = 1
    FAILED = 2
    STREAMING = 3
    STOPPING = 4
    STOPPED = 5


class Task:
    """One digital human; `stage` is set once, when it goes on air."""

    def __init__(self, request: CreateTask, created_time: float) -> None:
        self.task_id = str(uuid.uuid4())
        self.request = request
        self.created_time = created_time
        self.status = TaskStatus.INITIALISING
        self.fail_reason = ""
        self.stage: Stage | None = None
        self.violations: deque[str] = deque(maxlen=MAX_VIOLATIONS)
        self.stopping = asyncio.Event()
        self.ended = asyncio.Event()
        self.ended_at = 0.0

    @property
    def room_id(self) -> str:
        return self.request.rtc_config.room_id

    @property
    def stream_id(self) -> str:
        return self.request.rtc_config.stream_id

    @property
    def drives(self) -> list[Drive]:
        """The latest drives, oldest first."""
        return list(self.stage.drives) if self.stage else []

    @property
    def is_over(self) -> bool:
        return self.status in (TaskStatus.FAILED, TaskStatus.STOPPED)

    def require_stage(self) -> Stage:
        """Return the stage of a task on air; raises `Refusal` before and after that."""
        if self.is_over or self.stopping.is_set():
            raise Refusal(Code.STREAM_STOPPED)
        if self.stage is None:
            raise Refusal(Code.STREAM_NOT_STARTED)
        return self.stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRules:
    """The operator's rules for all tasks."""

    init_delay_s: float
    max_tasks: int
    interrupted_as: DriveStatus
    layout: Layout

    def shown_status(self, drive: Drive) -> DriveStatus:
        """Return the status of a drive as callers see it."""
        if drive.status is DriveStatus.INTERRUPTED:
            return self.interrupted_as
        return drive.status
