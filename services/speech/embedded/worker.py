"""One thread per model, so that inference never blocks the event loop."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from services.runtime.callers.flow import current_flow
from services.runtime.queues.fair_queue import FairQueue
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage

P = ParamSpec("P")
T = TypeVar("T")

STALL_S = 120.0
"""A model without progress for this long hangs: no single step takes that on any machine."""


class Worker:
    """Runs a model's blocking calls one after another; each caller waits for its own.

    Tenants take turns, and so do the conversations of a tenant (see FairQueue). A call that is
    cancelled before its turn never runs; one that has started runs to its end.

    A caller waits as long as the thread makes progress, with its call or with those before it: how
    long that takes depends on the machine's load, and being slow is not a failure.
    """

    def __init__(self, executor: ThreadPoolExecutor, *, stall_s: float) -> None:
        self._executor = executor
        self._stall_s = stall_s
        self._progressed_at = time.monotonic()
        self._waiting: FairQueue[_Job] = FairQueue()
        self._lock = threading.Lock()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call in the current flow; the caller watches its future itself."""
        flow = current_flow()
        result = Future[T]()
        call = _Job(partial(function, *args, **kwargs), result)
        with self._lock:
            self._waiting.put(call, flow)
        result.add_done_callback(lambda _: self._forget(call, flow))
        self._executor.submit(self._run_next)
        return result

    async def load(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Queue a call and wait for its result, however long a slow disk takes."""
        return await asyncio.wrap_future(self.submit(function, *args, **kwargs))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Queue a call and wait for its result; raises TimeoutError when the thread hangs."""
        return await self.while_progressing(
            asyncio.wrap_future(self.submit(function, *args, **kwargs))
        )

    def progress(self) -> None:
        """Report progress of the running call, from any thread, at each step of a long one."""
        self._progressed_at = time.monotonic()

    async def while_progressing(self, result: Awaitable[T]) -> T:
        """Wait for a result of a call; raises TimeoutError when the thread hangs."""
        waiting = asyncio.ensure_future(result)
        asked_at = time.monotonic()
        try:
            while not waiting.done():
                quiet_s = time.monotonic() - max(asked_at, self._progressed_at)
                if quiet_s >= self._stall_s:
                    raise TimeoutError(f"no progress for {quiet_s:.0f} s")
                await asyncio.wait({waiting}, timeout=self._stall_s - quiet_s)
            return waiting.result()
        finally:
            waiting.cancel()

    def cancel_waiting(self) -> None:
        """Cancel the calls that have not begun."""
        with self._lock:
            waiting = [self._waiting.take() for _ in range(len(self._waiting))]
        for call in waiting:
            call.result.cancel()

    def _run_next(self) -> None:
        """Run the call whose turn it is; none is left for those that were cancelled."""
        with self._lock:
            call = self._waiting.take() if self._waiting else None
        if call is not None:
            self.progress()
            call.run()
            self.progress()

    def _forget(self, call: "_Job", flow: tuple[str, str]) -> None:
        with self._lock:
            self._waiting.remove(call, flow)


class _Job:
    """A call that waits for its turn, and the future of its result."""

    def __init__(self, function: Callable[[], Any], result: Future[Any]) -> None:
        self.result = result
        self._function = function

    def run(self) -> None:
        """Make the call, unless it was cancelled."""
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            returned = self._function()
        except BaseException as error:
            self.result.set_exception(error)
        else:
            self.result.set_result(returned)


@contextlib.asynccontextmanager
async def open_worker(name: str, *, stall_s: float = STALL_S) -> AsyncIterator[Worker]:
    """A worker whose thread has ended when the context is left."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
    worker = Worker(executor, stall_s=stall_s)
    try:
        yield worker
    finally:
        worker.cancel_waiting()
        await asyncio.to_thread(executor.shutdown, cancel_futures=True)


@contextlib.contextmanager
def provider_errors(stage: Stage, provider: str) -> Iterator[None]:
    """Turn anything a library raises into the error that ports promise."""
    try:
        yield
    except ProviderError:
        raise
    except TimeoutError as error:
        raise ProviderError(stage, provider, f"{provider} hangs", transient=True) from error
    except Exception as error:
        raise ProviderError(stage, provider, f"{provider} failed", transient=False) from error
