"""The actions of the API over all workers: each is passed to the worker that has the task."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog

from engine.contract import parameters as ask
from engine.contract.codes import Code, Refusal
from engine.routes.actions import Data, Handler
from engine.tasks.digital_humans import find_digital_human
from engine.workers.pool import Pool
from engine.workers.registry import WorkerRegistry
from engine.workers.worker import Worker

CREATE = "CreateDigitalHumanStreamTask"
STOP = "StopDigitalHumanStreamTask"
LIST = "QueryDigitalHumanStreamTasks"
DRIVES = "GetDriveStatus"
# Workers report the end of a task immediately.
END_S = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedActions:
    """Handlers like those of a single engine."""

    registry: WorkerRegistry
    pool: Pool

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of every action, by name."""
        return {action: partial(self._pass, action) for action in ask.ACTIONS} | {
            CREATE: self.create_task,
            STOP: self.stop_task,
            LIST: self.list_tasks,
            DRIVES: self.get_drives,
        }

    async def create_task(self, request: ask.CreateTask, base_url: str) -> Data:
        find_digital_human(request.digital_human_config.digital_human_id)
        with self.registry.reserving(request.rtc_config.stream_id) as reservation:
            for worker in self.pool.by_load():
                reservation.worker = worker
                try:
                    created: dict[str, Any] = await _call(worker, CREATE, request, base_url)
                except Refusal as refusal:
                    if refusal.code is not Code.NO_RESOURCE:
                        raise
                    continue
                self.registry.assign(worker, created["TaskId"], request.rtc_config)
                return created
        raise Refusal(Code.NO_RESOURCE, "no worker has room")

    async def stop_task(self, request: ask.OneTask, base_url: str) -> Data:
        assignment = self.registry.get(request.task_id)
        await _call(assignment.require_worker(), STOP, request, base_url)
        # Callers may reuse the StreamId as soon as they learn that the task has ended.
        try:
            async with asyncio.timeout(END_S):
                await assignment.ended.wait()
        except TimeoutError:
            log.warning("end of a task not reported", task_id=assignment.task_id)
        return None

    async def list_tasks(self, request: ask.NoParameters, base_url: str) -> Data:
        tasks = [
            task
            for data in await self._call_all(LIST, request, base_url)
            for task in data["TaskList"]
        ]
        return {"TaskList": sorted(tasks, key=lambda task: int(task["CreateTime"]))}

    async def get_drives(self, request: ask.GetDrives, base_url: str) -> Data:
        if request.task_id or not request.drive_id:
            return await self._pass(DRIVES, request, base_url)
        answers = await self._call_all(DRIVES, request, base_url)
        return {"DriveList": [drive for data in answers for drive in data["DriveList"]]}

    async def _pass(self, action: str, request: ask.Parameters, base_url: str) -> Data:
        match request:
            case ask.OneTask(task_id=task_id) | ask.GetDrives(task_id=task_id) if task_id:
                worker = self.registry.get(task_id).require_worker()
            case _:
                worker = self.pool.any()
        data: Data = await _call(worker, action, request, base_url)
        return data

    async def _call_all(self, action: str, request: ask.Parameters, base_url: str) -> list[Any]:
        # The tasks of a lost worker are over, but a list without a running worker would be wrong.
        workers = self.pool.workers
        calls = [_call(worker, action, request, base_url) for worker in workers]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        found = []
        for worker, answer in zip(workers, answers, strict=True):
            if not isinstance(answer, BaseException):
                found.append(answer)
            elif not worker.is_lost:
                raise answer
        return found


async def _call(worker: Worker, action: str, request: ask.Parameters, base_url: str) -> Any:
    return await worker.call(action, request.model_dump(by_alias=True), urlsplit(base_url).netloc)
