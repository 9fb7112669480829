"""A WebSocket that explains protocol errors to its client before it closes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from uvicorn.protocols.utils import ClientDisconnected
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from gateway.contract.events import LineProblem
from gateway.contract.problems import to_problem
from gateway.server.keepalive import AttentiveWebSocket
from gateway.server.sockets import message_too_large
from gateway.telemetry import PROBLEMS
from services.runtime.callers.requests import REQUEST_ID_HEADER
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

SEND_ON_S = 5.0
"""How long a client may go on sending before it is cut off."""


class FailingWebSocket(AttentiveWebSocket):
    """Sends a problem for what the protocol itself refuses, which no application sees."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._end: asyncio.TimerHandle | None = None

    @property
    def has_failed(self) -> bool:
        """Whether only the client's end is waited for."""
        return self._end is not None

    def data_received(self, data: bytes) -> None:
        """Handle data; after the failure it is read and dropped.

        A connection that is closed with unread data is reset, and the client may never see why.
        """
        if not self.has_failed:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Send what the application says; raises ClientDisconnected when the line is over."""
        if self.close_sent and self.initial_response is None:
            # Its protocol error, or its own end, has come while the application was busy.
            raise ClientDisconnected
        await super().send(message)

    def send_receive_event_to_app(self) -> None:
        """Pass a message on, unless it is a text that is none."""
        if self.curr_msg_data_type == "bytes" or self.close_sent or _is_utf8(self.frames):
            super().send_receive_event_to_app()
            return
        self.frames = []
        # Behind it the client may have closed already: all that has come is parsed at once.
        if self.conn.state is State.OPEN:
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Send the problem and the close code, and wait for the client to close."""
        close = self.conn.close_sent
        assert close is not None
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}
        )
        if self.handshake_complete and not self.close_sent:
            self.transport.write(self._frame(_failure(close.code)))
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._end = self.loop.call_later(SEND_ON_S, self.transport.abort)
        self.transport.resume_reading()

    def _frame(self, error: ServiceError) -> bytes:
        PROBLEMS.labels(reason=error.reason).inc()
        request_id = self.response.headers.get(REQUEST_ID_HEADER, "")
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            message = LineProblem(problem=to_problem(error, instance=self.scope["path"]))
        frame = Frame(Opcode.TEXT, message.to_text().encode())
        return frame.serialize(mask=False)


def _is_utf8(pieces: Sequence[bytes]) -> bool:
    try:
        b"".join(pieces).decode()
    except UnicodeDecodeError:
        return False
    return True


def _failure(code: int) -> ServiceError:
    match code:
        case CloseCode.MESSAGE_TOO_BIG:
            return message_too_large()
        case CloseCode.INVALID_DATA:
            return ServiceError(Reason.MALFORMED_MESSAGE, "A text message is not UTF-8.")
        case CloseCode.POLICY_VIOLATION:
            return ServiceError(
                Reason.RATE_LIMITED, "Frames without content come too fast.", retry_after_s=1
            )
        case _:
            return ServiceError(Reason.MALFORMED_MESSAGE, "A frame breaks the rules of WebSocket.")
