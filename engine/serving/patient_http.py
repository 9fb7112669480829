"""HTTP/1 connections whose clients have limited time, and whose requests are answered once."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.serving.bounded_connection import BoundedConnection

HEAD_TIMEOUT_S = 10.0
"""How long a client may take to begin a request, and to send all of its head."""

SLICE_BYTES = 8_192
"""What is read before it is measured: a head that arrives at once may still be too large."""

_NOT_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n"
    b"connection: close\r\n\r\nnot HTTP\n"
)


class PatientHttp(H11Protocol):
    """Waits for slow clients, but not forever.

    Uvicorn itself waits as long as a client likes for the head of its request, and answers a body
    that turns out to be broken although the application answers as well.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: BoundedConnection = BoundedConnection()
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
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

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, unless an answer has begun, and have nobody else answer it."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_NOT_HTTP)
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _expect_head(self) -> None:
        """Start the timer when a request is to come, and stop it when its head is there."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
