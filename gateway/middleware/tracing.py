"""A span around every request and WebSocket, a child of the client's own if it sends one."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.middleware.context import METHODS, QUIET_ROUTES
from services.runtime.telemetry.tracing import TRACE_HEADERS, mark_failed, served


class Traced:
    """Traces requests, except probes and metrics, which are too frequent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in QUIET_ROUTES:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = {name: headers[name] for name in TRACE_HEADERS if name in headers}
        # Not the address, which may hold ids and keys: the route, known once it was served.
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        shown = method if method in METHODS or method == "WEBSOCKET" else "other"
        with served(shown, given) as span:

            async def send_noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        mark_failed(span, str(status))
                await send(message)

            try:
                await self._app(scope, receive, send_noted)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                span.update_name(f"{shown} {route}")
