"""HEAD, which monitors and load balancers ask with, for what everybody may get."""

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access.principal import Clearance
from gateway.access.routes import needed_for


class HeadAsGet:
    """Serves HEAD as GET where no credentials are needed; the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        is_public = is_head and needed_for("GET", scope["path"]) is Clearance.NONE
        await self._app({**scope, "method": "GET"} if is_public else scope, receive, send)
