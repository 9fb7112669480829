"""For which tenant a request is served, when the operator of the deployment names one."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.contract.problems import problem_response
from gateway.server.sockets import refuse
from services.runtime.caller import (
    TENANT_HEADER,
    Caller,
    acting_for,
    check_tenant_id,
    current_caller,
    of_tenant,
)
from services.runtime.errors import ServiceError, invalid
from services.runtime.reasons import Reason


class NamedTenant:
    """Serves a request for the tenant in its header `Parley-Tenant`.

    Only who is bound to no tenant may name one, as the operator on the machine is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the problem."""
        is_request = scope["type"] in ("http", "websocket")
        tenant_id = Headers(scope=scope).get(TENANT_HEADER, "") if is_request else ""
        if not tenant_id:
            await self._app(scope, receive, send)
            return
        try:
            named = _named(tenant_id)
        except ServiceError as error:
            if scope["type"] == "websocket":
                await refuse(error, scope, send)
            else:
                await problem_response(error, instance=scope["path"])(scope, receive, send)
            return
        with acting_for(named):
            await self._app(scope, receive, send)


def _named(tenant_id: str) -> Caller:
    """Return the caller for a tenant that a request names. Raises ServiceError."""
    if current_caller() != Caller():
        raise ServiceError(
            Reason.PERMISSION_DENIED, f"{TENANT_HEADER}: these credentials are those of one tenant"
        )
    try:
        return of_tenant(check_tenant_id(tenant_id))
    except ValueError as broken:
        raise invalid(TENANT_HEADER, "pattern", str(broken)) from None
