"""Limits the bodies of requests as they arrive, whatever their headers say."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.contract.problems import problem_response, refused
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

DISCARD_S = 10.0

MAX_MARKS = 30_000
"""The commas and opening brackets of a JSON body: to read 76,000 objects takes 0.1 s, in which
nobody else is served. What an app knows of a call has far less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyBounds:
    """What a body may have."""

    byte_count: int
    is_json: bool
    """Whether its members and items are bounded, too."""


class BodyLimit:
    """Raises PAYLOAD_TOO_LARGE in the reader of a body that is too long.

    JSON with too many members and items is refused with MALFORMED_MESSAGE before anybody parses it,
    and so is a body of which no more arrives for `idle_s`. The rest of a refused body is read and
    dropped for a while, as most clients look for an answer only when they have sent everything.
    """

    def __init__(
        self, app: ASGIApp, *, bounds_of: Callable[[str, str], BodyBounds], idle_s: float
    ) -> None:
        """`bounds_of` gives the bounds for a path and a content type."""
        self._app = app
        self._idle_s = idle_s
        self._bounds_of = bounds_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        bounds = self._bounds_of(scope["path"], headers.get("content-type", ""))
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > bounds.byte_count:
            # A client that asks first sends no body when it is refused.
            if headers.get("expect", "").lower() != "100-continue":
                await _discard(receive)
            response = problem_response(_too_large(bounds.byte_count), instance=scope["path"])
            await response(scope, receive, send)
            return
        await self._app(scope, _counted(receive, bounds, self._idle_s), send)


def _counted(receive: Receive, bounds: BodyBounds, idle_s: float) -> Receive:
    total, marks = 0, 0
    # After the body, the next message is the client's disconnect, which has no deadline.
    timeout_s: float | None = idle_s

    async def counted() -> Message:
        nonlocal total, marks, timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                message = await receive()
        except TimeoutError:
            raise ServiceError(
                Reason.MALFORMED_MESSAGE, "The body stopped before its end."
            ) from None
        body = message.get("body", b"")
        total += len(body)
        marks += sum(map(body.count, b",[{")) if bounds.is_json else 0
        if not message.get("more_body"):
            timeout_s = None
        if total > bounds.byte_count or marks > MAX_MARKS:
            if message.get("more_body"):
                await _discard(receive)
            raise _too_large(bounds.byte_count) if total > bounds.byte_count else _too_many()
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


def _too_many() -> ServiceError:
    return refused(
        Reason.MALFORMED_MESSAGE,
        "body",
        "max_items",
        f"must have {MAX_MARKS} commas and opening brackets at most",
    )
