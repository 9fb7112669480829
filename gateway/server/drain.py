"""The gateway's shutdown: it gives notice; then all that is still served ends with it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.telemetry import SOCKETS
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

SOCKETS_S = 2.0
"""How long the sockets may take to close; those left are cut off."""

REQUESTS_S = 10.0
"""How long requests may still take: a question to its reply's end, as a rule. The server would cut
them off silently a second later."""


class Drain:
    """Ends sockets, streams and requests when the gateway shuts down, and waits for the sockets.

    Before that it gives notice for `notice_s`: everything is served, but the gateway is not ready,
    and connections are kept for no further request. A balancer that has noticed sends nothing into
    a connection that is about to be closed unread.
    """

    def __init__(self, *, requests_s: float = REQUESTS_S, notice_s: float = 0.0) -> None:
        self.requests_s = requests_s
        self.is_noticed = False
        self.notice_s = notice_s
        self._begun = asyncio.Event()
        self._begun_at: float | None = None
        self._limits: dict[asyncio.Timeout, float] = {}
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._open = 0

    @contextmanager
    def socket(self) -> Iterator[None]:
        """Count a socket that is open."""
        self._open += 1
        self._none_open.clear()
        try:
            with SOCKETS.track_inprogress():
                yield
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()

    def check(self) -> None:
        """Raise ServiceError DRAINING once notice is given."""
        if self.is_noticed:
            raise _going_down()

    async def begun(self) -> None:
        """Wait until the gateway shuts down; raises ServiceError DRAINING."""
        await self._begun.wait()
        raise _going_down()

    @asynccontextmanager
    async def limit(self, grace_s: float) -> AsyncIterator[None]:
        """Run the block; raises ServiceError DRAINING `grace_s` after the shutdown began."""
        limit = asyncio.timeout_at(self._begun_at and self._begun_at + grace_s)
        self._limits[limit] = grace_s
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise _going_down() from None
        finally:
            del self._limits[limit]

    async def run(self) -> None:
        """Give notice, begin, and wait for the sockets."""
        self.is_noticed = True
        await asyncio.sleep(self.notice_s)
        self._begun_at = asyncio.get_running_loop().time()
        self._begun.set()
        for limit, grace_s in self._limits.items():
            limit.reschedule(self._begun_at + grace_s)
        try:
            async with asyncio.timeout(SOCKETS_S):
                await self._none_open.wait()
        except TimeoutError:
            return


class Drained:
    """Has requests that are not answered when the gateway shuts down fail with DRAINING.

    Their connections are closed after the answer.
    """

    def __init__(self, app: ASGIApp, *, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def last(message: Message) -> None:
            if message["type"] == "http.response.start" and self._drain.is_noticed:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        async with self._drain.limit(self._drain.requests_s):
            await self._app(scope, receive, last)


def _going_down() -> ServiceError:
    return ServiceError(Reason.DRAINING, "The gateway goes down.")
