"""A WebSocket whose client cannot keep the gateway busy with frames that bring nothing."""

import asyncio
from typing import Any

from websockets.frames import CloseCode, Frame

from gateway.server.failing_socket import FailingWebSocket

FRAMES_PER_SECOND = 100
"""Pings, pongs and further pieces of messages that a client may send."""

FRAMES_AT_ONCE = 256

SLICE_BYTES = 4_096
"""What is read before the frames in it are counted; the smallest has six bytes."""


class FrameLimitedWebSocket(FailingWebSocket):
    """Refuses endless fragments and floods of pings, of which the application sees nothing.

    Whatever else comes at once is parsed in slices, between which others are served.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frames_left = float(FRAMES_AT_ONCE)
        self._counted_at = self.loop.time()
        self._unread = b""
        self._reading_on: asyncio.Handle | None = None

    @property
    def has_unread(self) -> bool:
        """Whether data has come that is still to be parsed."""
        return self._reading_on is not None

    def data_received(self, data: bytes) -> None:
        """Handle data, a slice at a time: all frames of what is passed on are parsed at once."""
        if self.has_unread:
            self._unread += data
        else:
            self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what is unread."""
        self._drop_unread()
        super().connection_lost(exc)

    def handle_parser_exception(self) -> None:
        """Drop what is unread, too, so that the client's end is seen."""
        self._drop_unread()
        super().handle_parser_exception()

    def _read(self, data: bytes) -> None:
        """Handle the first slice, and the rest when the loop has seen to others."""
        self._unread = data[SLICE_BYTES:]
        if self._unread:
            self.transport.pause_reading()
            self._reading_on = self.loop.call_soon(self._read_on)
        super().data_received(data[:SLICE_BYTES])

    def _read_on(self) -> None:
        """Handle the next slice; behind the last one, whatever comes next."""
        self._reading_on = None
        self._read(self._unread)
        if not (self.has_unread or self.read_paused):
            self.transport.resume_reading()

    def _drop_unread(self) -> None:
        if self._reading_on is not None:
            self._reading_on.cancel()
            self._reading_on = None

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
