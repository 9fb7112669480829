"""A WebSocket that cuts off a client that does not read."""

import asyncio
import socket
from typing import Any

import structlog
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

log = structlog.get_logger(__name__)

SEND_TIMEOUT_S = 10.0
"""How long a client may leave pending data unread."""

SEND_BUFFER_BYTES = 65_536
"""What the system buffers for a client that does not read; beyond it, the sender waits."""


class PatientWebSocket(WebSocketsSansIOProtocol):
    """Waits for a slow client, but not forever.

    Uvicorn itself would: a client that is alive but does not read would keep its conversation, and
    one that answers no ping its connection, for as long as it likes. Only the message that is being
    sent is buffered; the sender of the next one waits.
    """

    def __init__(self, *args: Any, send_timeout_s: float = SEND_TIMEOUT_S, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._send_timeout_s = send_timeout_s
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have `pause_writing` called as soon as the system takes no more."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the timer: data is pending."""
        super().pause_writing()
        self._timer = self.loop.call_later(self._send_timeout_s, self._cut_off)

    def resume_writing(self) -> None:
        """Stop the timer: all data was taken."""
        self._stop_timer()
        super().resume_writing()

    def _cut_off(self) -> None:
        log.warning("socket cut off: its client does not read", after_s=self._send_timeout_s)
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
