"""Access: API keys, origins, and what one caller may ask for."""

import hmac
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.contract.problems import problem_response
from gateway.middleware.concurrency import Ceiling, Concurrency
from gateway.middleware.hosts import is_loopback, name_of_host, name_of_origin
from gateway.server.sockets import refuse
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason

API_KEY_HEADER = "x-api-key"
API_KEY_PARAMETER = "apiKey"
# Open without a key: the page and the docs, which hold no data, probes, and signed callbacks.
CALLBACK_PATH = "/api/callbacks/zego"
OPEN_PATHS = frozenset(
    {"/", "/livez", "/readyz", "/docs", "/openapi.json", "/favicon.ico", CALLBACK_PATH}
)
OPEN_PREFIXES = ("/web/", "/docs/")
LIMITED_PREFIX = "/api/"
MAX_CALLERS = 10_000

FAILURES_PER_SECOND = 5.0
"""Wrong keys of one address that are answered as such; a right key is always let in."""

CALLERS_IPV6_BITS = 64
"""A network that one client has to itself: it may call from any of its addresses."""

REQUESTS_AT_ONCE = Ceiling(per_caller=256, total=2_048)
"""Requests, event streams and sockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """Without keys the gateway is open, but only to this machine and the pages it serves."""

    keys: Sequence[str]
    origins: Sequence[str]
    requests_per_second: float
    hosts: Set[str] = frozenset()
    """Other names than loopback ones under which this machine knows an open gateway."""

    requests_at_once: Ceiling = REQUESTS_AT_ONCE


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(slots=True)
class RateLimit:
    """A token bucket per caller; the most recent callers are remembered."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> None:
        """Count a request; raises ServiceError RATE_LIMITED when the bucket is empty."""
        now = self.clock()
        burst = 2 * self.per_second
        bucket = self._buckets.pop(caller, None) or _Bucket(burst, now)
        self._buckets[caller] = bucket
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.filled_at) * self.per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            raise ServiceError(
                Reason.RATE_LIMITED,
                "Too many requests from one caller.",
                retry_after_s=math.ceil((1 - bucket.tokens) / self.per_second),
            )
        bucket.tokens -= 1


class Guard:
    """Refuses callers without access: every path that is not listed as open needs a key.

    A caller is a key used from an address, or an address alone. The cloud's callbacks are counted
    apart, so that nothing else which comes from their address, such as a proxy's, keeps them out.
    """

    def __init__(self, app: ASGIApp, *, rules: AccessRules, rate: RateLimit) -> None:
        self._app = app
        self._rules = rules
        self._keys = [key.encode() for key in rules.keys]
        self._rate = rate
        self._failures = RateLimit(FAILURES_PER_SECOND)
        self._requests = Concurrency(rules.requests_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the problem."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with ExitStack() as places:
            try:
                caller = self._admit(scope)
                places.enter_context(self._place(scope, caller))
            except ServiceError as error:
                if scope["type"] == "websocket":
                    await refuse(error, scope, send)
                else:
                    response = problem_response(error, instance=scope["path"])
                    await response(scope, receive, send)
                return
            await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> str:
        """Return the caller, which is also noted in the scope; raises ServiceError."""
        headers = Headers(scope=scope)
        path = scope["path"]
        caller = address = _address(scope)
        if path == CALLBACK_PATH:
            caller = f"callback {address}"
        if not self._keys:
            self._require_local(headers)
        elif path not in OPEN_PATHS and not path.startswith(OPEN_PREFIXES):
            caller = f"key {self._require_key(scope, headers, address)} {address}"
        if path.startswith(LIMITED_PREFIX):
            self._rate.take(caller)
        scope["state"]["caller"] = caller
        return caller

    def _place(self, scope: Scope, caller: str) -> AbstractContextManager[None]:
        """Return the place among what goes on at once; probes and callbacks need none."""
        path = scope["path"]
        if not path.startswith(LIMITED_PREFIX) or path == CALLBACK_PATH:
            return nullcontext()
        return self._requests.place(caller)

    def _require_key(self, scope: Scope, headers: Headers, address: str) -> int:
        """Return which key was given; raises ServiceError."""
        given = _given_key(headers)
        if not given and scope["type"] == "websocket":
            # A browser cannot set headers of a WebSocket.
            given = QueryParams(scope["query_string"]).get(API_KEY_PARAMETER, "")
        # All keys are compared, so that timing reveals nothing.
        matches = [hmac.compare_digest(given.strip().encode(), key) for key in self._keys]
        if not any(matches):
            self._failures.take(address)
            raise ServiceError(
                Reason.CREDENTIALS_INVALID,
                "A valid API key is required, as `Authorization: Bearer` or `X-Api-Key`.",
            )
        return matches.index(True)

    def _require_local(self, headers: Headers) -> None:
        """Refuse other sites' pages: in the user's browser they, too, call from this machine."""
        host = name_of_host(headers.get("host", ""))
        if host is None or not (is_loopback(host) or host in self._rules.hosts):
            raise ServiceError(
                Reason.PERMISSION_DENIED,
                "Without API keys only loopback addresses and GATEWAY_ALLOWED_HOSTS are served.",
            )
        origin = headers.get("origin")
        if not origin or origin in self._rules.origins:
            return
        page = name_of_origin(origin)
        # An allowed name may belong to another machine elsewhere: only its own pages may call.
        if page is None or not (is_loopback(page) or page == host):
            raise ServiceError(
                Reason.PERMISSION_DENIED, "Without API keys only local pages may call."
            )


def caller_of(scope: Scope) -> str:
    """Return whom the guard has admitted, as requests are counted."""
    return str(scope["state"]["caller"])


def _address(scope: Scope) -> str:
    """Return the address of the client, of IPv6 its network."""
    host, _ = scope.get("client") or ("", 0)
    if ":" not in host:
        return str(host)
    try:
        network = ipaddress.IPv6Network((host.partition("%")[0], CALLERS_IPV6_BITS), strict=False)
    except ValueError:
        return str(host)
    return str(network)


def _given_key(headers: Headers) -> str:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return headers.get(API_KEY_HEADER) or (bearer if scheme.lower() == "bearer" else "")
