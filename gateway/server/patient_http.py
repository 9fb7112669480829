"""HTTP connections of limited number, whose clients have limited time for each step."""

import asyncio
from http import HTTPStatus
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.contract.problems import problem_response
from gateway.server.bounded_connection import BoundedConnection
from gateway.server.limits import ConnectionLimits
from gateway.server.send_timeout import SEND_TIMEOUT_S
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

log = structlog.get_logger(__name__)


SLICE_BYTES = 8_192
"""What is read before it is measured: a head that arrives at once may still be too large."""


def _answer(error: ServiceError) -> bytes:
    """Return the answer to a request that was not read, after which the connection is closed."""
    problem = problem_response(error, instance="")
    status = HTTPStatus(problem.status_code)
    head = b"HTTP/1.1 %d %s\r\nconnection: close\r\n" % (status, status.phrase.encode())
    headers = b"".join(b"%s: %s\r\n" % each for each in problem.raw_headers)
    return head + headers + b"\r\n" + bytes(problem.body)


class PatientHttp(H11Protocol):
    """Waits for slow clients, but not forever.

    Uvicorn itself waits as long as a client likes for the head of its request, and for it to read
    its answer.
    """

    def __init__(
        self,
        *args: Any,
        limits: ConnectionLimits,
        max_head_bytes: int,
        send_timeout_s: float = SEND_TIMEOUT_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.conn: BoundedConnection = BoundedConnection(max_head_bytes=max_head_bytes)
        self._limits = limits
        self._send_timeout_s = send_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection if there is room."""
        held = [_address(each) for each in self.connections]
        super().connection_made(transport)
        if refusal := self._limits.refusal(_address(self), held):
            transport.write(_answer(refusal))
            transport.close()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle data, a little at a time."""
        for at in range(0, len(data), SLICE_BYTES):
            # What has failed is over, and what has become a WebSocket begins with its answer.
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            super().data_received(data[at : at + SLICE_BYTES])

    def handle_events(self) -> None:
        """Handle what arrived, and see to it that a head that has begun also ends."""
        super().handle_events()
        self._expect_head()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over, with its timers stopped."""
        self._stop_timers()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, unless an answer has begun, and have nobody else answer it.

        A body may turn out to be broken while its request is already being served.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            error = self.conn.refusal or ServiceError(
                Reason.MALFORMED_MESSAGE, "The request is not well-formed HTTP."
            )
            self.transport.write(_answer(error))
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def pause_writing(self) -> None:
        """Start the timer: the client does not read."""
        super().pause_writing()
        self._send_timer = self.loop.call_later(self._send_timeout_s, self._cut_off)

    def resume_writing(self) -> None:
        """Stop the timer: the client reads."""
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _expect_head(self) -> None:
        """Start the timer when a request is to come, and stop it when its head is there."""
        is_expected = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if not is_expected:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(
                self._limits.head_timeout_s, self.transport.abort
            )

    def _cut_off(self) -> None:
        log.warning("connection cut off: its client does not read", after_s=self._send_timeout_s)
        self.transport.abort()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_timers(self) -> None:
        self._stop_head_timer()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None


def _address(connection: Any) -> str:
    """Return the address of a connection's client, of HTTP or a WebSocket."""
    client: tuple[str, int] | None = connection.client
    return client[0] if client else ""
