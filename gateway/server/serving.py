"""An HTTP server as a context manager: it serves while the block runs, then drains."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from gateway.server.drain import Drain
from gateway.server.limits import ConnectionLimits
from gateway.server.patient_http import PatientHttp
from gateway.server.send_timeout import SEND_TIMEOUT_S
from gateway.server.sound_socket import SoundWebSocket

HEAD_BYTES = 32 * 1024
"""The largest head of a request."""

GRACE_S = 11
"""Longer than the drain leaves to requests."""
PING_EVERY_S = 4.0
PONG_WITHIN_S = 5.0
"""A client that does not answer a ping in this time is gone; browsers answer on their own."""

SOCKET_BYTES = 2**20
"""The largest message of a WebSocket; a larger one closes it unread."""


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    drain: Drain | None = None,
    send_timeout_s: float = SEND_TIMEOUT_S,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[str]:
    """Serve until the block is left; gives the address. `port` 0 takes a free one.

    Connections whose clients do not read for `send_timeout_s` are cut off; at the end the `drain`
    ends all that is served. Raises OSError when the address is in use or not on this machine.
    """
    limits = limits or ConnectionLimits()
    config = uvicorn.Config(
        app,
        lifespan="off",
        http=partial(  # type: ignore[arg-type]
            PatientHttp,
            limits=limits,
            max_head_bytes=HEAD_BYTES,
            send_timeout_s=send_timeout_s,
        ),
        ws=partial(SoundWebSocket, send_timeout_s=send_timeout_s),  # type: ignore[arg-type]
        ws_max_size=SOCKET_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        # PCM hardly compresses, and trying would cost more than everything else.
        ws_per_message_deflate=False,
        log_config=None,
        # Below warnings it logs the whole address of a WebSocket, with its key.
        log_level="warning",
        access_log=False,
        server_header=False,
        # Which address a proxy has seen, it says itself; others are not believed.
        proxy_headers=bool(limits.proxies),
        forwarded_allow_ips=[str(network) for network in limits.proxies],
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
            if drain is not None:
                await drain.run()
            server.should_exit = True
            await running
