"""Server-sent events: their format, and the response that streams them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.contract.conversation_events import Event
from gateway.contract.events import StreamFailed
from gateway.contract.problems import to_problem, visible_error
from gateway.server.disconnection import unless_gone
from gateway.server.drain import Drain
from gateway.telemetry import EVENT_STREAMS
from services.runtime.failures.errors import ServiceError

KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": keep-alive\n\n"


class EventStream(Response):
    """Streams events until they end or the client leaves.

    `events` has started already, so that a failure to start is answered by the HTTP status; a later
    failure is sent as a last event `problem`, and so is the gateway's shutdown. The stream closes
    `events`: when the client leaves, or with `goes_on` at their own end.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        first: Event,
        events: AsyncGenerator[Event, None],
        *,
        drain: Drain,
        goes_on: bool = False,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first = first
        self._events = events
        self._drain = drain
        self._goes_on = goes_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        with EVENT_STREAMS.track_inprogress():
            async with aclosing(self._events):
                sending = self._send_all(scope["path"], send)
                # The server drops what is sent to a client that has disconnected.
                with suppress(ServiceError):
                    await (sending if self._goes_on else unless_gone(receive, sending))

    async def _send_all(self, path: str, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        try:
            async with self._drain.limit(0):
                await self._send_events(send)
        except Exception as error:
            problem = to_problem(visible_error(error), instance=path)
            await _send_part(send, StreamFailed(event="problem", data=problem).to_sse())
        await send({"type": "http.response.body", "body": b""})

    async def _send_events(self, send: Send) -> None:
        event: Event | None = self._first
        while event is not None:
            await _send_part(send, event.to_sse())
            event = await self._next(send)

    async def _next(self, send: Send) -> Event | None:
        coming = asyncio.ensure_future(anext(self._events, None))
        try:
            while not (await asyncio.wait({coming}, timeout=KEEP_ALIVE_S))[0]:
                await _send_part(send, KEEP_ALIVE)
            return coming.result()
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _send_part(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
