"""A gRPC server that is replaced when gRPC's own accept loop ends.

In grpc.aio a call whose path is no UTF-8 raises where calls are accepted, before any interceptor:
the server shuts down, and its process lives on without one. Whoever reaches the port can send such
a call. Callers see what they see when a service restarts, and call again; calls that run go on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import grpc
import structlog

log = structlog.get_logger(__name__)

Open = Callable[[], grpc.aio.Server]
"""Makes a server that is bound to its address, and not yet started."""

LONGEST_CALL_S = 86_400.0
"""After this long an ended server cuts off the calls that it still has."""

# Coroutines of grpc.aio, which keeps their tasks to itself.
_ACCEPTING = "_server_main_loop"
_SHUTTING_DOWN = "shutdown"


@asynccontextmanager
async def lasting_server(
    first: grpc.aio.Server, another: Open, *, drain_s: float
) -> AsyncIterator[None]:
    """Run a server, and others in its place, while the block is open; then let calls finish."""
    servers = {first}
    retiring: set[asyncio.Task[None]] = set()
    accepting = await _started(first)

    async def replace(ended: grpc.aio.Server, accepting: asyncio.Task[object]) -> None:
        while True:
            await asyncio.wait({accepting})
            cause = None if accepting.cancelled() else accepting.exception()
            log.error("server ended, and is replaced", cause=type(cause).__name__)
            retiring.add(asyncio.create_task(retire(ended)))
            ended = another()
            servers.add(ended)
            accepting = await _started(ended)

    async def retire(ended: grpc.aio.Server) -> None:
        await ended.stop(LONGEST_CALL_S)
        servers.discard(ended)
        if own := asyncio.current_task():
            retiring.discard(own)

    replacing = asyncio.create_task(replace(first, accepting))
    try:
        yield
    finally:
        replacing.cancel()
        with suppress(asyncio.CancelledError):
            await replacing
        await asyncio.gather(*retiring, *(each.stop(drain_s) for each in servers))


async def _started(server: grpc.aio.Server) -> asyncio.Task[object]:
    """Start a server; returns the task in which it accepts calls."""
    before = asyncio.all_tasks()
    await server.start()
    accepting = next(task for task in _running(_ACCEPTING) if task not in before)
    accepting.add_done_callback(_quiet_shutdown)
    return accepting


def _quiet_shutdown(accepting: asyncio.Task[object]) -> None:
    """Take what has ended a server from the task in which grpc.aio tries to shut it down.

    That task has just begun, and fails with the same; nobody else would ever ask it.
    """
    for shutting_down in _running(_SHUTTING_DOWN):
        shutting_down.add_done_callback(_taken)


def _taken(task: asyncio.Task[object]) -> None:
    if not task.cancelled():
        task.exception()


def _running(name: str) -> list[asyncio.Task[object]]:
    """Return the tasks of a coroutine of grpc.aio."""
    tasks = asyncio.all_tasks()
    return [each for each in tasks if getattr(each.get_coro(), "__name__", "") == name]
