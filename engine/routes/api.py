"""The API's single endpoint: common parameters, signature, rate limit, faults, envelope."""

import asyncio
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any, Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.clock import Clock
from engine.contract.codes import MESSAGES, Code, Refusal
from engine.contract.faults import ClockSkew, Delay, Faults, HttpError, InvalidJson, Refuse
from engine.contract.parameters import ACTIONS, Parameters, read_json, read_members, read_query
from engine.contract.signature import CallVerifier
from engine.routes.actions import Data, Handler
from engine.routes.request_body import BodyRefused, read_body

CALLS_PER_SECOND = 10
MAX_BODY_BYTES = 1024 * 1024

log = structlog.get_logger()


class CallLimit(Protocol):
    """How many calls are allowed."""

    def count(self, action: str) -> None:
        """Count one call; raises `Refusal` if it exceeds the limit."""


class Unlimited:
    """For an engine whose calls were counted before they reached it."""

    def count(self, action: str) -> None:
        pass


class RateLimit:
    """At most ten calls per action within any second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=CALLS_PER_SECOND)
        )

    def count(self, action: str) -> None:
        """Count one call; raises `Refusal` if it exceeds the limit."""
        calls, now = self._calls[action], self._clock.monotonic()
        if len(calls) == CALLS_PER_SECOND and now - calls[0] < 1.0:
            raise Refusal(Code.RATE_LIMITED, f"{CALLS_PER_SECOND} calls per second and action")
        calls.append(now)


class Api:
    """`/`; every call is answered with HTTP 200 and a code inside."""

    def __init__(
        self,
        *,
        verifier: CallVerifier,
        handlers: Mapping[str, Handler],
        faults: Faults,
        limit: CallLimit,
        clock: Clock,
    ) -> None:
        self._verifier = verifier
        self._handlers = handlers
        self._faults = faults
        self._clock = clock
        self._limit = limit

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        return [Route("/", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        action = request.query_params.get("Action", "")
        if delay := self._faults.take(Delay, action):
            await self._clock.wait(asyncio.Event(), delay.seconds)
        if self._faults.take(HttpError, action):
            return Response("Internal Server Error", status_code=500, media_type="text/plain")
        if self._faults.take(InvalidJson, action):
            return Response('{"Code":0,"Message":', media_type="application/json")
        try:
            envelope = _envelope(Code.SUCCESS, await self._call(action, request))
        except Refusal as refusal:
            log.info("call refused", action=action, code=refusal.code, reason=refusal.message)
            envelope = _envelope(refusal.code, None, refusal.message)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("call failed", action=action)
            envelope = _envelope(Code.SYSTEM_ERROR, None)
        return JSONResponse(envelope)

    async def _call(self, action: str, request: Request) -> Data:
        query = dict(request.query_params)
        if not action:
            raise Refusal(Code.ACTION_EMPTY)
        handler = self._handlers.get(action)
        if handler is None:
            raise Refusal(Code.ACTION_UNSUPPORTED)
        if refuse := self._faults.take(Refuse, action):
            raise Refusal(Code(refuse.code))
        skew = self._faults.take(ClockSkew, action)
        await self._verifier.verify(query, now=self._clock.time() + (skew.seconds if skew else 0.0))
        self._limit.count(action)
        parameters = await _read_parameters(action, query, request)
        return await handler(parameters, str(request.base_url).rstrip("/"))


async def _read_parameters(action: str, query: dict[str, str], request: Request) -> Parameters:
    if request.method == "GET":
        # In a query, DoAction's own Action is indistinguishable from the common one.
        return read_query(ACTIONS[action], query)
    try:
        members = read_json(await read_body(request, limit=MAX_BODY_BYTES) or b"{}")
    except (ValueError, RecursionError):
        raise Refusal(Code.BODY_UNREADABLE) from None
    except BodyRefused as error:
        raise Refusal(Code.BODY_UNREADABLE, str(error)) from None
    if not isinstance(members, dict):
        raise Refusal(Code.INVALID_PARAMETER, "the body must be a JSON object")
    return read_members(ACTIONS[action], members)


def _envelope(code: Code, data: Data, message: str = "") -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "Code": code,
        "Message": message or MESSAGES[code],
        "RequestId": str(uuid.uuid4()),
    }
    if data is not None:
        envelope["Data"] = data
    return envelope
