"""An HTTP server with a life: it serves while its context is open and drains when that closes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

GRACE_S = 5


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever owns it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve until the block is left; gives the address. `port` 0 takes a free one.

    Raises OSError when the address is taken or not ours.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    is_ipv6 = ":" in host
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    # Listening begins here, so that the first caller can connect at once.
    with socket.create_server((host, port), family=family, backlog=1024) as listener:
        shown = f"[{host}]" if is_ipv6 else host
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://{shown}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
