"""HTTP as it is parsed, with bounds on what costs a caller little and the parser much."""

import re
from typing import Any

import h11

from gateway.contract.problems import refused
from gateway.server.origin_form import in_origin_form
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

MAX_FIELDS = 100
"""The header fields of a request; browsers and proxies together send about forty."""

CRUMB_BYTES = 64
"""A chunk below this costs more to parse than it brings: 64 bytes are 2 ms of sound."""

MAX_CRUMBS = 1_000
"""The crumbs of one body."""

_BLANK_LINE = re.compile(rb"\n\r?\n")


class BoundedConnection(h11.Connection):
    """Raises RemoteProtocolError also for heads of many fields, and for bodies in crumbs."""

    def __init__(self, *, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self._crumbs = 0
        self.refusal: ServiceError | None = None
        """Which bound the client has broken."""

    def next_event(self) -> Any:
        """Return the next event."""
        if self.their_state is h11.IDLE:
            self._skip_empty_lines()
            # A head is measured before it is parsed.
            if self._awaited_fields() > MAX_FIELDS:
                self._refuse("headers", "max_fields", f"must be {MAX_FIELDS} at most")
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._crumbs = 0
            return in_origin_form(event)
        if isinstance(event, h11.Data) and _is_crumb(event):
            self._crumbs += 1
            if self._crumbs > MAX_CRUMBS:
                rule = f"must not cut a body into more than {MAX_CRUMBS} chunks this small"
                self._refuse("Transfer-Encoding", "chunk_size", rule)
        return event

    def _skip_empty_lines(self) -> None:
        """Drop those before a request, which some clients send after a body (RFC 9112, 2.2)."""
        received, _ = self.trailing_data
        # h11 has no other way to take from what it was given.
        self._receive_buffer.maybe_extract_at_most(len(received) - len(received.lstrip(b"\r\n")))

    def _awaited_fields(self) -> int:
        """Return the number of lines that have come of the next head, without its first."""
        received, _ = self.trailing_data
        end = _BLANK_LINE.search(received)
        return received.count(b"\n", 0, end.start() if end else len(received))

    def _refuse(self, field: str, rule: str, description: str) -> None:
        self.refusal = refused(Reason.MALFORMED_MESSAGE, field, rule, description)
        raise h11.RemoteProtocolError(description)


def _is_crumb(data: h11.Data) -> bool:
    return data.chunk_start and data.chunk_end and len(data.data) < CRUMB_BYTES
