"""The door of WHEP: it limits how often an address asks, and how often it fails to be trusted."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from engine.clock import Clock
from engine.throttle import Throttle, caller_at, failures_of_callers

REQUESTS, REQUESTS_PER_SECOND = 100, 20.0
RETRY_AFTER_S = "2"
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
    "Retry-After": RETRY_AFTER_S,
}

Endpoint = Callable[[Request], Awaitable[Response]]


class Door(Protocol):
    """Stands before an endpoint."""

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that answers those whom the door lets in."""


class OpenDoor:
    """For an engine whose callers have passed a door already."""

    def guard(self, endpoint: Endpoint) -> Endpoint:
        return endpoint


class ThrottledDoor:
    """Answers 429, without a look at the token, to an address that asks or fails too often."""

    def __init__(self, clock: Clock) -> None:
        self._requests = Throttle(clock, burst=REQUESTS, per_second=REQUESTS_PER_SECOND)
        self._failures = failures_of_callers(clock)

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that answers those who neither ask nor fail too often."""

        async def guarded(request: Request) -> Response:
            caller = caller_at(request.client.host if request.client else "")
            if not (self._requests.allows(caller) and self._failures.allows(caller)):
                return PlainTextResponse(
                    "too many requests\n", HTTPStatus.TOO_MANY_REQUESTS, headers=HEADERS
                )
            self._requests.count(caller)
            response = await endpoint(request)
            if response.status_code == HTTPStatus.UNAUTHORIZED:
                self._failures.count(caller)
            return response

        return guarded
