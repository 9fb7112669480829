"""WebSockets: how they report errors."""

from contextlib import suppress

from starlette.types import Scope, Send
from starlette.websockets import WebSocketDisconnect, WebSocketDisconnected

from gateway.contract.events import LineProblem
from gateway.contract.problems import to_problem
from gateway.telemetry import PROBLEMS
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason

SUBPROTOCOL = "parley.v1"
"""What browsers offer beside a credential: they give up unless some offer is accepted, and a
credential must not be sent back."""

GOING_AWAY = 1001
INTERNAL_ERROR = 1011
PRIVATE_CODES = 4000
MESSAGE_BYTES = 65_536


def offered(scope: Scope) -> str | None:
    """Return the subprotocol to accept of those that a client offers."""
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None


def message_too_large() -> ServiceError:
    """Return the error for a message above the limit."""
    return ServiceError(
        Reason.PAYLOAD_TOO_LARGE,
        f"A message has at most {MESSAGE_BYTES} bytes.",
        maxBytes=str(MESSAGE_BYTES),
    )


def close_code(error: ServiceError) -> int:
    """Return the close code for an error: 4404 for what is 404 in HTTP."""
    if error.reason is Reason.DRAINING:
        return GOING_AWAY
    status = RULES[error.reason].http_status
    return INTERNAL_ERROR if status >= 500 else PRIVATE_CODES + status


async def close_with(error: ServiceError, scope: Scope, send: Send) -> None:
    """Send an error over a socket that was accepted, and close it; the client may have left."""
    PROBLEMS.labels(reason=error.reason).inc()
    message = LineProblem(problem=to_problem(error, instance=scope["path"]))
    code = close_code(error)
    with suppress(OSError, WebSocketDisconnect, WebSocketDisconnected):
        await send({"type": "websocket.send", "text": message.to_text()})
        await send({"type": "websocket.close", "code": code, "reason": str(error.reason)})


async def refuse(error: ServiceError, scope: Scope, send: Send) -> None:
    """Accept a socket to send the error: browsers hide a failed handshake's from their pages."""
    await send({"type": "websocket.accept", "subprotocol": offered(scope)})
    await close_with(error, scope, send)
