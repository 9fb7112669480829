"""Work that outlives the call that started it, owned by the process."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from services.runtime.failures.errors import ServiceError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Jobs:
    """Background work; leaving the block cancels what is still running and waits for it to end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        running = tuple(self._running)
        for job in running:
            job.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def begin(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run `work` to its end, whether anyone waits or not; unexpected errors are logged."""
        job = asyncio.create_task(work, name=name)
        self._running.add(job)
        job.add_done_callback(self._forget)
        return job

    def _forget(self, job: asyncio.Task[Any]) -> None:
        self._running.discard(job)
        if job.cancelled():
            return
        error = job.exception()
        if error is not None and not isinstance(error, ServiceError):
            log.error("job failed unexpectedly", job=job.get_name(), exc_info=error)
