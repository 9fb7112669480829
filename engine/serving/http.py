"""The HTTP server: runs an ASGI application for the life of a context."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from engine.serving.patient_http import PatientHttp

GRACE_S = 2


class _Server(uvicorn.Server):
    """Leaves the signals of the process to its owner."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_http(application: ASGIApp, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve HTTP and yield the port. Requests in progress get a moment to finish."""
    config = uvicorn.Config(
        application,
        lifespan="off",
        http=PatientHttp,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    # The socket listens from here on, so that the first caller can connect at once.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, reuse_port=False) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task
