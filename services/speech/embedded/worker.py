"""One thread per model, so that inference never blocks the event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from services.speech.ports import ProviderError, Stage

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs a model's blocking calls one after another; each caller waits for its own.

    A call that is given up before its turn never runs; one that runs is left to end by itself.
    """

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call whose end the caller watches itself."""
        return self._executor.submit(function, *args, **kwargs)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Queue a call and wait for its result."""
        return await asyncio.wrap_future(self.submit(function, *args, **kwargs))


@contextlib.asynccontextmanager
async def open_worker(name: str) -> AsyncIterator[Worker]:
    """A worker whose thread has ended when the context is left."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
    try:
        yield Worker(executor)
    finally:
        await asyncio.to_thread(executor.shutdown, cancel_futures=True)


@contextlib.contextmanager
def provider_errors(stage: Stage, provider: str) -> Iterator[None]:
    """Turn whatever a library raises into the error that ports promise."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        raise ProviderError(stage, provider, f"{provider} failed", transient=False) from error
