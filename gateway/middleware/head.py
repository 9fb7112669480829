"""Limits what the head of a request makes others parse: parameters, and the kind of its body."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.contract.problems import problem_response, refused
from gateway.server.sockets import refuse
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

MAX_PARAMETERS = 64
"""No endpoint has more, and what a client adds is looked at one by one."""

CONTENT_TYPE_BYTES = 512
"""A media type with a boundary has less than 150, and each of its parameters is looked at."""


class HeadLimit:
    """Refuses what has too many parameters before anybody has parsed them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the problem."""
        error = _refusal(scope) if scope["type"] in ("http", "websocket") else None
        if error is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await refuse(error, scope, send)
        else:
            response = problem_response(error, instance=scope["path"])
            await response(scope, receive, send)


def _refusal(scope: Scope) -> ServiceError | None:
    if scope["query_string"].count(b"&") >= MAX_PARAMETERS:
        return refused(
            Reason.INVALID_REQUEST,
            "query",
            "max_parameters",
            f"must have {MAX_PARAMETERS} parameters at most",
        )
    headers = Headers(scope=scope)
    if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        # Nothing here decompresses: it would be read as if it were what it is not.
        return refused(
            Reason.MEDIA_TYPE_UNSUPPORTED,
            "Content-Encoding",
            "identity",
            "must be absent: bodies are taken as they are, not compressed",
        )
    if len(headers.get("content-type", "")) > CONTENT_TYPE_BYTES:
        return refused(
            Reason.MEDIA_TYPE_UNSUPPORTED,
            "Content-Type",
            "max_length",
            f"must have {CONTENT_TYPE_BYTES} bytes at most",
        )
    return None
