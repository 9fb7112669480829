"""The HTTP server: runs an ASGI application for the life of a context."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

GRACE_S = 2
_NOT_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n"
    b"connection: close\r\n\r\nnot HTTP\n"
)


class AnsweredOnce(H11Protocol):
    """HTTP/1 in which a request that turns out to be broken is answered once.

    Uvicorn itself answers a broken body although the application answers as well.
    """

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, unless an answer has begun, and have nobody else answer it."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_NOT_HTTP)
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


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
        http=AnsweredOnce,
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
