"""What a call carries besides its message: request id, trace and caller follow it everywhere."""

import uuid
from typing import TypeAlias

import structlog

from services.runtime.callers.caller import current_caller, to_metadata
from services.runtime.telemetry.tracing import trace_headers

REQUEST_ID_HEADER = "x-request-id"
AUTHORIZATION_HEADER = "authorization"

Metadata: TypeAlias = tuple[tuple[str, str], ...]


def new_request_id() -> str:
    """Return a new request id."""
    return str(uuid.uuid4())


def current_request_id() -> str:
    """Return the id of the request being served, or a new one outside of any."""
    bound = structlog.contextvars.get_contextvars().get("request_id")
    return bound if isinstance(bound, str) else new_request_id()


def outgoing_metadata(service_token: str | None = None) -> Metadata:
    """Return the metadata of a call to another service."""
    metadata: Metadata = (
        (REQUEST_ID_HEADER, current_request_id()),
        *to_metadata(current_caller()),
        *trace_headers(),
    )
    if service_token:
        metadata += ((AUTHORIZATION_HEADER, f"Bearer {service_token}"),)
    return metadata
