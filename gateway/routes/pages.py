"""What browsers load from the gateway: the client at `/`, the API's description at `/docs`, and the
widget for pages of other sites at `/clients/v1/`.
"""

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from swagger_ui_bundle import swagger_ui_path

from gateway.contract.openapi import document

BUILT = Path(__file__).parents[1] / "web" / "dist"
OPENAPI_PATH = "/openapi.json"
# All code, styles and fonts come from here. Portraits, WHEP and the vendor's signalling come from
# the digital-human cloud, whose hosts only the avatar service knows.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data: http: https:",
        "media-src 'self' blob:",
        "connect-src 'self' http: https: wss:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
IMMUTABLE = "public, max-age=31536000, immutable"
WIDGET_PATH = "/clients/v1"
# Pages of any site load it, also those that isolate themselves from other origins. Its files keep
# their names for as long as the path keeps its version, so those of two releases fit together.
WIDGET_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=600, stale-while-revalidate=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


class _Assets(StaticFiles):
    """Files of the built page; one whose name holds its digest never changes."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        is_named_by_digest = Path(full_path).parent.name == "assets"
        response.headers["Cache-Control"] = IMMUTABLE if is_named_by_digest else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class _Widget(StaticFiles):
    """Files of the built widget."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(WIDGET_HEADERS)
        return response


class Pages:
    """Serves the pages; all that they load comes from here."""

    def __init__(self, *, title: str, needs_key: bool) -> None:
        self._title = title
        self._needs_key = needs_key

    def install(self, app: FastAPI) -> None:
        """Add the pages to the application."""
        app.add_route("/", self.home, methods=["GET"], include_in_schema=False)
        app.add_route(OPENAPI_PATH, self.openapi, methods=["GET"], include_in_schema=False)
        app.add_route("/docs", self.docs, methods=["GET"], include_in_schema=False)
        app.mount("/docs", StaticFiles(directory=swagger_ui_path), name="docs")
        app.mount("/web", _Assets(directory=BUILT), name="web")
        app.mount(WIDGET_PATH, _Widget(directory=BUILT / "clients" / "v1"), name="widget")

    async def home(self, request: Request) -> Response:
        """Return the client."""
        return FileResponse(BUILT / "index.html", headers=PAGE_HEADERS)

    async def openapi(self, request: Request) -> Response:
        """Return the API's description for programs."""
        return Response(document(needs_key=self._needs_key), media_type="application/json")

    async def docs(self, request: Request) -> HTMLResponse:
        """Return the API's description for people."""
        return get_swagger_ui_html(
            openapi_url=OPENAPI_PATH,
            title=f"{self._title}: HTTP API",
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="/docs/favicon-32x32.png",
            # By default it may show the description to a validator on the Internet.
            swagger_ui_parameters={"validatorUrl": None},
        )
