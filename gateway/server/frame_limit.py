"""A WebSocket whose client cannot keep the gateway busy with frames that bring nothing."""

from typing import Any

from websockets.frames import CloseCode, Frame

from gateway.server.failing_socket import FailingWebSocket

FRAMES_PER_SECOND = 100
"""Pings, pongs and further pieces of messages that a client may send."""

FRAMES_AT_ONCE = 256

SLICE_BYTES = 4_096
"""What is read before the frames in it are counted; the smallest has six bytes."""


class FrameLimitedWebSocket(FailingWebSocket):
    """Refuses endless fragments and floods of pings, of which the application sees nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frames_left = float(FRAMES_AT_ONCE)
        self._counted_at = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Handle data, a little at a time: all frames of what is passed on are parsed at once."""
        for at in range(0, len(data), SLICE_BYTES):
            super().data_received(data[at : at + SLICE_BYTES])

    def handle_cont(self, event: Frame) -> None:
        """Take a further piece of a message."""
        if self._may_go_on():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._may_go_on():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take an answer to a ping."""
        if self._may_go_on():
            super().handle_pong(event)

    def _may_go_on(self) -> bool:
        """Count a frame; at one too many the connection fails."""
        if self.has_failed:
            return False
        now = self.loop.time()
        refill = (now - self._counted_at) * FRAMES_PER_SECOND
        self._frames_left = min(FRAMES_AT_ONCE, self._frames_left + refill) - 1
        self._counted_at = now
        if self._frames_left >= 0:
            return True
        self.conn.fail(CloseCode.POLICY_VIOLATION, "too many frames")
        self.handle_parser_exception()
        return False
