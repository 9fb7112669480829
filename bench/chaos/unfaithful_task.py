"""`python -m bench.chaos.unfaithful_task`: the task service on a journal not to be relied on."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from services.runtime.clock import SteadyClock
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.process import run
from services.task.domain.tasks import Clock
from services.task.ports.storage import Storage
from services.task.process import serve
from services.task.settings import DatabaseSettings
from services.task.storage import storage_of

SHARE = 0.05
"""Of the journal's calls each are refused, time out, and time out although they were done."""
TIMEOUT_S = 0.2
SEED = "BENCH_SEED"


class UnfaithfulPort:
    """A part of the journal whose calls fail at random, some after their effect."""

    def __init__(self, port: Any, rng: random.Random) -> None:
        self._port = port
        self._rng = rng

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return the method of the port that may fail."""
        method = getattr(self._port, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            fate = self._rng.random() / SHARE
            if fate < 1:
                raise _unavailable()
            if fate < 2:
                await asyncio.sleep(TIMEOUT_S)
                raise _unavailable()
            result = await method(*arguments, **options)
            if fate < 3:
                await asyncio.sleep(TIMEOUT_S)
                raise _unavailable()
            return result

        return call


def _unavailable() -> ServiceError:
    return ServiceError(
        Reason.DEPENDENCY_UNAVAILABLE, "The database does not answer.", retry_after_s=1.0
    )


@asynccontextmanager
async def unfaithful_storage(
    settings: DatabaseSettings, clock: Clock, steady: SteadyClock
) -> AsyncIterator[Storage]:
    """Open the storage of the settings."""
    rng = random.Random(os.environ.get(SEED))
    async with storage_of(settings, clock, steady) as storage:
        unfaithful = storage.journal.wrapped(lambda port: UnfaithfulPort(port, rng))
        yield replace(storage, journal=unfaithful)


if __name__ == "__main__":
    run("task", partial(serve, unfaithful_storage))
