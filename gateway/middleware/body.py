"""Limits the bodies of requests as they arrive, whatever their headers say."""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.contract.problems import problem_response
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

DISCARD_S = 10.0


class BodyLimit:
    """Raises PAYLOAD_TOO_LARGE in the reader of a body beyond its limit.

    When no more of a body arrives for `idle_s`, it is refused with MALFORMED_MESSAGE. The rest of
    a refused body is read and dropped for a while, because most clients look for an answer only
    when they have sent everything.
    """

    def __init__(self, app: ASGIApp, *, limit_of: Callable[[str, str], int], idle_s: float) -> None:
        """`limit_of` gives the bytes for a path and a content type."""
        self._app = app
        self._idle_s = idle_s
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit_of(scope["path"], headers.get("content-type", ""))
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            # A client that asks first sends no body when it is refused.
            if headers.get("expect", "").lower() != "100-continue":
                await _discard(receive)
            response = problem_response(_too_large(limit), instance=scope["path"])
            await response(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit, self._idle_s), send)


def _counted(receive: Receive, limit: int, idle_s: float) -> Receive:
    total = 0
    # After the body, the next message is the client's disconnect, which has no deadline.
    timeout_s: float | None = idle_s

    async def counted() -> Message:
        nonlocal total, timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                message = await receive()
        except TimeoutError:
            raise ServiceError(
                Reason.MALFORMED_MESSAGE, "The body stopped before its end."
            ) from None
        total += len(message.get("body", b""))
        if not message.get("more_body"):
            timeout_s = None
        if total > limit:
            if message.get("more_body"):
                await _discard(receive)
            raise _too_large(limit)
        return message

    return counted


async def _discard(receive: Receive) -> None:
    try:
        async with asyncio.timeout(DISCARD_S):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        return


def _too_large(limit: int) -> ServiceError:
    return ServiceError(
        Reason.PAYLOAD_TOO_LARGE,
        f"The body may have {limit} bytes at most.",
        maxBytes=str(limit),
    )
