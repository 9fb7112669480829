"""The engine's HTTP side as one ASGI application, and the server that runs it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from engine.api import Api
from engine.blendshape_assets import FaceFiles
from engine.debug_routes import FaultSwitches
from engine.digital_humans import PICTURES
from engine.preview_videos import PreviewVideos

GRACE_S = 2


def make_application(
    *,
    api: Api,
    whep: Sequence[Route],
    recordings: Sequence[Route],
    fault_switches: FaultSwitches,
    health: Callable[[], Mapping[str, Any]],
) -> Starlette:
    """All routes of the engine; `health` gives the figures that `/healthz` shows."""

    async def tell_health(request: Request) -> Response:
        return JSONResponse({"status": "ok", **health()})

    return Starlette(
        routes=[
            Route("/", api.answer, methods=["GET", "POST"]),
            Route("/healthz", tell_health, methods=["GET"]),
            *FaceFiles().routes(),
            *PreviewVideos().routes(),
            Mount("/pictures", StaticFiles(directory=PICTURES)),
            *whep,
            *recordings,
            *fault_switches.routes(),
        ]
    )


class _Server(uvicorn.Server):
    """Leaves the signals of the process to whoever owns it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_http(application: ASGIApp, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve HTTP; gives the port. Requests under way get a moment to end."""
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    # Listening begins here, so the first caller can connect at once.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, reuse_port=False) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task
