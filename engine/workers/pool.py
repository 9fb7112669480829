"""The workers: started together, restarted when lost, stopped together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import structlog

from engine.clock import Clock
from engine.contract.codes import Code, Refusal
from engine.contract.faults import FaultList
from engine.routes.debug import debug_headers
from engine.serving.certificate import Identity
from engine.settings import EngineSettings
from engine.tasks.callbacks import Notice, Notices
from engine.workers.registry import WorkerRegistry
from engine.workers.worker import Worker, running_worker

STOP_S = 10.0
RESTART_AFTER_S = 1.0

log = structlog.get_logger()


class Pool:
    """The running workers, by place."""

    def __init__(
        self,
        *,
        settings: EngineSettings,
        identity: Identity,
        registry: WorkerRegistry,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._registry = registry
        self._notices = notices
        self._clock = clock
        self.faults = FaultList(faults=[])
        self._workers: dict[int, Worker] = {}
        self._stopping = asyncio.Event()

    @property
    def workers(self) -> list[Worker]:
        """All running workers, in the order of their places."""
        return [self._workers[place] for place in sorted(self._workers)]

    def any(self) -> Worker:
        """Return any worker; raises `Refusal` while none is running."""
        for worker in self._workers.values():
            return worker
        raise Refusal(Code.SYSTEM_BUSY, "the workers are starting")

    def by_load(self) -> list[Worker]:
        """Return all running workers, the one with the fewest tasks first."""
        return sorted(self.workers, key=self._registry.count)

    async def switch(self, faults: FaultList) -> None:
        """Switch on faults in all workers, including future ones."""
        self.faults = faults
        for worker in self.workers:
            await self._switch(worker)

    def stop(self) -> None:
        """Have every worker end its tasks and exit."""
        self._stopping.set()
        for worker in self._workers.values():
            worker.dismiss()

    async def keep(self, place: int, started: asyncio.Future[None]) -> None:
        """Keep one place filled until the pool stops; `started` resolves the first time."""
        settings = _settings_of(place, self._settings)
        while not self._stopping.is_set():
            try:
                async with running_worker(settings, self._identity, self._clock) as worker:
                    await self._employ(place, worker, started)
            except OSError as failure:
                if not started.done():
                    started.set_exception(failure)
                    return
                log.error("worker failed", place=place, reason=str(failure))
            await self._clock.wait(self._stopping, RESTART_AFTER_S)

    async def _employ(self, place: int, worker: Worker, started: asyncio.Future[None]) -> None:
        await self._switch(worker)
        self._workers[place] = worker
        if self._stopping.is_set():
            worker.dismiss()
        if not started.done():
            started.set_result(None)
        try:
            await worker.follow(self._follow)
        finally:
            del self._workers[place]
            worker.is_lost = True
            lost = self._registry.lose(worker)
            if not self._stopping.is_set():
                log.error("worker lost", place=place, pid=worker.pid, notices=len(lost))
            for notice in lost:
                self._notices.send(notice)

    async def _switch(self, worker: Worker) -> None:
        if self._settings.debug_token is None:
            return
        headers = debug_headers(self._settings.debug_token.get_secret_value())
        faults = self.faults.model_dump_json()
        try:
            await worker.client.put("/faults", content=faults, headers=headers)
        except httpx.HTTPError as error:
            log.warning("faults not switched", pid=worker.pid, error=type(error).__name__)

    def _follow(self, worker: Worker, notice: Notice) -> None:
        self._registry.follow(worker, notice)
        self._notices.send(notice)


def _settings_of(place: int, settings: EngineSettings) -> EngineSettings:
    return settings.model_copy(
        update={
            "workers": 1,
            "port": 0,
            "drive_port": settings.drive_port + place if settings.drive_port else 0,
            "callback_url": None,
            "callback_secret": None,
            # Calls come from the front, which has checked them.
            "signatures": None,
            "recordings_bytes": settings.recordings_bytes // settings.workers,
        }
    )


@asynccontextmanager
async def keeping_workers(pool: Pool, count: int) -> AsyncIterator[None]:
    """Run so many workers; raises `WorkerFailed` if one cannot be started initially."""
    loop = asyncio.get_running_loop()
    started = [loop.create_future() for _ in range(count)]
    keeping = [asyncio.create_task(pool.keep(place, each)) for place, each in enumerate(started)]
    try:
        await asyncio.gather(*started)
        yield
    finally:
        pool.stop()
        _, late = await asyncio.wait(keeping, timeout=STOP_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
