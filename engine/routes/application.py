"""All HTTP routes of the engine as one ASGI application."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.routes.face_files import FaceFiles
from engine.routes.preview_videos import PreviewVideos
from engine.tasks.digital_humans import PICTURES

MAX_PARAMETERS = 64
"""No route has more, and what a caller adds is looked at one by one."""


class RouteGroup(Protocol):
    """Something that is served over HTTP."""

    def routes(self) -> Sequence[Route]:
        """Routes below the root of the application."""


class Health(Protocol):
    """Knows how the engine is doing."""

    def figures(self) -> Mapping[str, Any]:
        """The figures of this moment, by name."""


class HealthPage:
    """`/healthz`."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        return [Route("/healthz", self._show, methods=["GET"])]

    async def _show(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", **self._health.figures()})


class FewParameters:
    """Refuses what has too many parameters before anybody has parsed them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with 400."""
        if scope["query_string"].count(b"&") < MAX_PARAMETERS:
            await self._app(scope, receive, send)
        else:
            refusal = f"more than {MAX_PARAMETERS} parameters\n"
            await Response(refusal, status_code=400, media_type="text/plain")(scope, receive, send)


def make_application(*groups: RouteGroup) -> Starlette:
    """Return an application of these routes and of those without dependencies."""
    all_groups: tuple[RouteGroup, ...] = (*groups, FaceFiles(), PreviewVideos())
    return Starlette(
        routes=[
            *(route for group in all_groups for route in group.routes()),
            Mount("/pictures", StaticFiles(directory=PICTURES)),
        ],
        middleware=[Middleware(FewParameters)],
    )
