"""A gRPC server that is replaced when gRPC's own accept loop ends.

In grpc.aio a call whose path is no UTF-8 raises where calls are accepted, before any interceptor:
the server shuts down, and its process lives on without one. Whoever reaches the port can send such
a call. Callers see what they see when a service restarts, and call again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import grpc
import structlog

log = structlog.get_logger(__name__)

Open = Callable[[], grpc.aio.Server]
"""Makes a server that is bound to its address, and not yet started."""

_ACCEPTING = "_server_main_loop"


@asynccontextmanager
async def lasting_server(
    first: grpc.aio.Server, another: Open, *, drain_s: float
) -> AsyncIterator[None]:
    """Run a server, and others in its place, while the block is open; then let calls finish."""
    running = [first]
    accepting = await _started(first)

    async def replace() -> None:
        nonlocal accepting
        while True:
            await asyncio.wait({accepting})
            cause = None if accepting.cancelled() else accepting.exception()
            log.error("server ended, and is replaced", cause=type(cause).__name__)
            running.append(another())
            accepting = await _started(running[-1])

    replacing = asyncio.create_task(replace())
    try:
        yield
    finally:
        replacing.cancel()
        with suppress(asyncio.CancelledError):
            await replacing
        await running[-1].stop(drain_s)


async def _started(server: grpc.aio.Server) -> asyncio.Task[object]:
    """Start a server; returns the task in which it accepts calls."""
    before = asyncio.all_tasks()
    await server.start()
    return next(
        task
        for task in asyncio.all_tasks() - before
        if getattr(task.get_coro(), "__name__", "") == _ACCEPTING
    )
