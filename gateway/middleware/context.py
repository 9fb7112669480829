"""What every request gets: its id, its log line, its metrics, and the last exception handler."""

import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from gateway.contract.problems import problem_response, visible_error
from gateway.server.sockets import close_with, refuse
from gateway.telemetry import REQUEST_SECONDS, REQUESTS
from services.runtime.callers.requests import REQUEST_ID_HEADER, new_request_id

log = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})
ABNORMAL_CLOSURE = 1006
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContext:
    """The outermost layer: whatever happens inside, the client gets an answer with a request id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if REQUEST_ID.fullmatch(given) else new_request_id()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            serve = self._serve if scope["type"] == "http" else self._serve_socket
            await serve(scope, receive, send, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        status = 0
        seconds: float | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                # Background work after the answer does not count.
                seconds = time.perf_counter() - started

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            seen = visible_error(error)
            if not status:
                response = problem_response(seen, instance=scope["path"])
                await response(scope, receive, send_with_id)
        finally:
            if seconds is None:
                seconds = time.perf_counter() - started
            _record(scope, status, seconds)

    async def _serve_socket(
        self, scope: Scope, receive: Receive, send: Send, request_id: str
    ) -> None:
        is_accepted = False
        code = ABNORMAL_CLOSURE

        async def send_with_id(message: Message) -> None:
            nonlocal is_accepted, code
            if message["type"] == "websocket.accept":
                is_accepted = True
                message.setdefault("headers", [])
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            elif message["type"] == "websocket.close":
                code = message.get("code", 1000)
            await send(message)

        async def receive_noted() -> Message:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code", ABNORMAL_CLOSURE)
            return message

        started = time.perf_counter()
        try:
            await self._app(scope, receive_noted, send_with_id)
        except (OSError, WebSocketDisconnect):
            # The client has disconnected: there is nobody to answer.
            return
        except Exception as error:
            fail = close_with if is_accepted else refuse
            await fail(visible_error(error), scope, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            log.info(
                "socket ended", path=scope["path"], code=code, duration_ms=round(seconds * 1000, 1)
            )


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "other")
    method = scope["method"] if scope["method"] in METHODS else "other"
    REQUESTS.labels(method=method, route=route, status=str(status)).inc()
    REQUEST_SECONDS.labels(route=route).observe(seconds)
    if route not in QUIET_ROUTES:
        log.info(
            "request ended",
            method=method,
            path=scope["path"],
            status=status,
            duration_ms=round(seconds * 1000, 1),
        )
