"""All HTTP routes of the engine as one ASGI application."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from engine.routes.face_files import FaceFiles
from engine.routes.preview_videos import PreviewVideos
from engine.tasks.digital_humans import PICTURES


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


def make_application(*groups: RouteGroup) -> Starlette:
    """Return an application of these routes and of those without dependencies."""
    all_groups: tuple[RouteGroup, ...] = (*groups, FaceFiles(), PreviewVideos())
    return Starlette(
        routes=[
            *(route for group in all_groups for route in group.routes()),
            Mount("/pictures", StaticFiles(directory=PICTURES)),
        ]
    )
