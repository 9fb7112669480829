"""The door: every request is let in for a principal whose credentials suffice for its route."""

import ipaddress
from collections.abc import Sequence, Set
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cache

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access.authenticator import Authenticator
from gateway.access.presented import presented
from gateway.access.principal import Clearance, Principal, Role, acting_as
from gateway.access.rate_limit import RateLimit
from gateway.access.routes import CALLBACK_PATH, SOCKET, needed_for
from gateway.contract.problems import problem_response
from gateway.middleware.concurrency import Ceiling, Concurrency
from gateway.middleware.hosts import is_loopback, name_of_host, name_of_origin
from gateway.server.sockets import refuse
from services.runtime.callers.caller import TENANT_HEADER
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

log = structlog.get_logger(__name__)

LIMITED_PREFIX = "/api/"

CALLERS_IPV6_BITS = 64
"""A network that one client has to itself: it may call from any of its addresses."""

REQUESTS_AT_ONCE = Ceiling(per_caller=256, total=2_048)
"""Requests, event streams and sockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """An open gateway asks for no credentials, but serves only this machine and its pages."""

    is_open: bool
    origins: Sequence[str]
    requests_per_second: float
    hosts: Set[str] = frozenset()
    """Other names than loopback ones under which this machine knows an open gateway."""

    requests_at_once: Ceiling = REQUESTS_AT_ONCE


class Guard:
    """Lets requests in, or answers with the problem.

    Requests are counted by principal, or by address where there is none. The cloud's callbacks are
    counted apart, so that nothing else which comes from their address, such as a proxy's, keeps
    them out.
    """

    def __init__(
        self, app: ASGIApp, *, rules: AccessRules, authenticator: Authenticator, rate: RateLimit
    ) -> None:
        self._app = app
        self._rules = rules
        self._authenticator = authenticator
        self._rate = rate
        self._requests = Concurrency(rules.requests_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the problem."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with ExitStack() as admitted:
            try:
                needed = _needed(scope)
                principal = await self._principal(scope, needed)
                admitted.enter_context(self._counted(scope, principal))
                principal.require(needed)
            except ServiceError as error:
                if scope["type"] == "websocket":
                    await refuse(error, scope, send)
                else:
                    response = problem_response(error, instance=scope["path"])
                    await response(scope, receive, send)
                return
            admitted.enter_context(acting_as(principal))
            await self._app(scope, receive, send)

    async def _principal(self, scope: Scope, needed: Clearance) -> Principal:
        """Return who calls; raises ServiceError for bad credentials where some are needed."""
        address = _address(scope)
        if self._rules.is_open:
            self._require_local(Headers(scope=scope))
            if presented(scope):
                tell_that_credentials_are_ignored()
            operator = Principal(credential_id=address, actor="", role=Role.OPERATOR)
            return _named(scope, operator)
        if needed is Clearance.NONE:
            return Principal(credential_id=address, actor="", role=Role.USER)
        return _named(scope, await self._authenticator.principal(presented(scope), address))

    def _counted(self, scope: Scope, principal: Principal) -> AbstractContextManager[None]:
        """Count a request, and return its place among what goes on at once.

        Probes and the page are not counted, and callbacks need no place. Raises ServiceError.
        """
        path = scope["path"]
        is_callback = path == CALLBACK_PATH
        caller = f"callback {_address(scope)}" if is_callback else principal.credential_id
        scope["state"]["caller"] = caller
        if not path.startswith(LIMITED_PREFIX):
            return nullcontext()
        self._rate.take(caller)
        return nullcontext() if is_callback else self._requests.place(caller)

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


@cache
def tell_that_credentials_are_ignored() -> None:
    """Log it, once: whoever shows some believes that they limit somebody."""
    log.warning("credentials ignored: the gateway is open, and whoever calls may do everything")


def _named(scope: Scope, principal: Principal) -> Principal:
    """Return the principal, of the tenant that its request names; raises ServiceError."""
    tenant_id = Headers(scope=scope).get(TENANT_HEADER)
    return principal if tenant_id is None else principal.of_tenant(tenant_id)


def _needed(scope: Scope) -> Clearance:
    """Return what a request demands of its caller."""
    method = SOCKET if scope["type"] == "websocket" else scope["method"]
    return needed_for(method, scope["path"])


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
