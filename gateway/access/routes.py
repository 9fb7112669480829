"""What every route demands of its caller. A route that is not listed is the deployment's alone."""

import re
from dataclasses import dataclass

from starlette.routing import compile_path

from gateway.access.principal import Clearance

CALLBACK_PATH = "/api/callbacks/zego"
SOCKET = "WEBSOCKET"
ANY = "*"

_TASKS = "/api/digital-human/tasks"
_KEYS = "/api/digital-human/keys"
_WEBHOOKS = "/api/digital-human/webhooks"
_WEBHOOK = f"{_WEBHOOKS}/{{webhookId}}"
_TASK = f"{_TASKS}/{{taskId}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path, with parameters in braces as in the application's own routes."""

    method: str
    path: str
    needed: Clearance

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request is for this route."""
        return self.method in (ANY, method) and _PATTERNS[self.path].fullmatch(path) is not None


def _route(method: str, path: str, needed: Clearance) -> Route:
    return Route(method=method, path=path, needed=needed)


ROUTES: tuple[Route, ...] = (
    # The page, the widget and the docs, which hold no data; probes; callbacks, which are signed.
    _route(ANY, "/", Clearance.NONE),
    _route(ANY, "/livez", Clearance.NONE),
    _route(ANY, "/readyz", Clearance.NONE),
    _route(ANY, "/docs", Clearance.NONE),
    _route(ANY, "/docs/{path:path}", Clearance.NONE),
    _route(ANY, "/web/{path:path}", Clearance.NONE),
    _route(ANY, "/clients/v1/{path:path}", Clearance.NONE),
    _route(ANY, "/openapi.json", Clearance.NONE),
    _route(ANY, "/favicon.ico", Clearance.NONE),
    _route(ANY, CALLBACK_PATH, Clearance.NONE),
    # Where it is no WebSocket it is nothing, and says so.
    _route("GET", "/api/digital-human/talk", Clearance.NONE),
    # What a call needs.
    _route("GET", "/api/config", Clearance.TICKET),
    _route("GET", "/api/token", Clearance.TICKET),
    _route("GET", "/api/v1/audio/voices", Clearance.TICKET),
    _route("POST", "/api/digital-human/create-task", Clearance.TICKET),
    _route("POST", "/api/digital-human/stop-task", Clearance.TICKET),
    _route("GET", _TASK, Clearance.TICKET),
    _route("GET", f"{_TASK}/events", Clearance.TICKET),
    _route("GET", f"{_TASK}/conversation", Clearance.TICKET),
    _route("GET", f"{_TASK}/turns/{{turnId}}/ledger", Clearance.TICKET),
    _route("DELETE", f"{_TASK}/say/{{requestId}}", Clearance.TICKET),
    _route("POST", "/api/digital-human/talk-to-ai", Clearance.TICKET),
    _route("POST", "/api/digital-human/say", Clearance.TICKET),
    _route("POST", "/api/digital-human/greet", Clearance.TICKET),
    _route("POST", "/api/digital-human/interrupt", Clearance.TICKET),
    _route("POST", "/api/digital-human/tool-result", Clearance.TICKET),
    _route("POST", "/api/digital-human/action", Clearance.TICKET),
    _route(SOCKET, "/api/digital-human/talk", Clearance.TICKET),
    _route("GET", _TASKS, Clearance.USER),
    # What only a tenant's own server may do.
    _route("POST", "/api/digital-human/tickets", Clearance.SERVER),
    _route("DELETE", "/api/digital-human/tickets/{ticketId}", Clearance.SERVER),
    _route("PATCH", _TASK, Clearance.SERVER),
    _route("DELETE", f"{_TASK}/conversation", Clearance.SERVER),
    _route("POST", "/api/v1/audio/speech", Clearance.SERVER),
    _route("GET", "/api/digital-human/usage", Clearance.OPERATOR),
    _route("POST", "/api/digital-human/export-user", Clearance.OPERATOR),
    _route("POST", "/api/digital-human/erase-user", Clearance.OPERATOR),
    _route("POST", _KEYS, Clearance.OPERATOR),
    _route("GET", _KEYS, Clearance.OPERATOR),
    _route("DELETE", f"{_KEYS}/{{keyId}}", Clearance.OPERATOR),
    _route("GET", _WEBHOOKS, Clearance.OPERATOR),
    _route("POST", _WEBHOOKS, Clearance.OPERATOR),
    _route("DELETE", _WEBHOOK, Clearance.OPERATOR),
    _route("POST", f"{_WEBHOOK}/rotate-key", Clearance.OPERATOR),
    _route("POST", f"{_WEBHOOK}/test", Clearance.OPERATOR),
    _route("GET", f"{_WEBHOOK}/dead-letters", Clearance.OPERATOR),
    _route("POST", f"{_WEBHOOK}/dead-letters/replay", Clearance.OPERATOR),
    _route("GET", "/api/digital-human/audit", Clearance.OPERATOR),
    # What concerns all tenants.
    _route("POST", "/api/digital-human/reconcile", Clearance.DEPLOYMENT),
    _route("GET", "/metrics", Clearance.DEPLOYMENT),
)
_PATTERNS: dict[str, re.Pattern[str]] = {
    route.path: compile_path(route.path)[0] for route in ROUTES
}


def needed_for(method: str, path: str) -> Clearance:
    """Return what a request demands of its caller; `method` is SOCKET for a WebSocket."""
    for route in ROUTES:
        if route.matches(method, path):
            return route.needed
    return Clearance.DEPLOYMENT
