"""Which credential a request presents, and where it may stand."""

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

API_KEY_HEADER = "x-api-key"
API_KEY_PARAMETER = "apiKey"
TICKET_PARAMETER = "ticket"
TICKET_SUBPROTOCOL = "parley.ticket."

KEY_PREFIX = "parley_key_"
TICKET_PREFIX = "parley_ticket_"
ONCE_PREFIX = "parley_once_"
"""Of tickets that may be used once. Addresses are kept in logs and histories: no other may stand
in one."""


def presented(scope: Scope) -> str:
    """Return the credential of a request; empty when there is none where one may stand."""
    headers = Headers(scope=scope)
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = headers.get(API_KEY_HEADER) or (bearer if scheme.lower() == "bearer" else "")
    return (given or _of_socket(scope) or _of_address(scope)).strip()


def _of_socket(scope: Scope) -> str:
    """Return the credential that a browser sends as a subprotocol, as it cannot set headers."""
    for name in scope.get("subprotocols", ()):
        if name.startswith(TICKET_SUBPROTOCOL):
            return str(name.removeprefix(TICKET_SUBPROTOCOL))
    return ""


def _of_address(scope: Scope) -> str:
    is_socket = scope["type"] == "websocket"
    if not is_socket and scope["method"] != "GET":
        return ""
    query = QueryParams(scope["query_string"])
    ticket = query.get(TICKET_PARAMETER, "")
    if ticket.startswith(ONCE_PREFIX):
        return ticket
    key = query.get(API_KEY_PARAMETER, "") if is_socket else ""
    return "" if key.startswith(TICKET_PREFIX) else key
