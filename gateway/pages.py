"""The pages that the gateway serves: the client at `/`, the API's description at `/docs`."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

WEB = Path(__file__).with_name("web")
OPENAPI_PATH = "/openapi.json"


def install_pages(app: FastAPI) -> None:
    """Serve the pages; all that they load comes from here."""

    async def home(request: Request) -> Response:
        return FileResponse(WEB / "index.html", headers={"Cache-Control": "no-cache"})

    async def docs(request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI_PATH,
            title=f"{app.title}: HTTP API",
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="/docs/favicon-32x32.png",
        )

    app.add_route("/", home, methods=["GET"], include_in_schema=False)
    app.add_route("/docs", docs, methods=["GET"], include_in_schema=False)
    app.mount("/docs", StaticFiles(directory=swagger_ui_path), name="docs")
    app.mount("/web", StaticFiles(directory=WEB), name="web")
