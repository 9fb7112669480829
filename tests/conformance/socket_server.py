"""What the servers of vendors with WebSockets share: connections, and what goes wrong on them."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import ClassVar, Generic, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.conformance.script import KEY, RETRY_AFTER_S, Session, Trouble

REFUSALS: Mapping[Trouble, HTTPStatus] = {
    Trouble.WRONG_KEY: HTTPStatus.UNAUTHORIZED,
    Trouble.QUOTA: HTTPStatus.PAYMENT_REQUIRED,
    Trouble.RATE_LIMIT: HTTPStatus.TOO_MANY_REQUESTS,
    Trouble.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""How a vendor refuses a connection; one that refuses by a message has its own way."""

S = TypeVar("S", bound=Session)


class SocketServer(ABC, Generic[S]):
    """A server whose subclass speaks a vendor's protocol in `converse`."""

    path: ClassVar[str] = ""
    """What follows the address in the base URL."""
    refusals: ClassVar[Mapping[Trouble, HTTPStatus]] = REFUSALS
    answer_headers: ClassVar[Mapping[str, str]] = {}
    """What a vendor adds to the headers with which it accepts a connection."""
    garbage: ClassVar[str | bytes]
    unknown: ClassVar[tuple[str | bytes, ...]]

    def __init__(self) -> None:
        self.url = ""
        self.trouble: Trouble | None = None
        self.heads: list[Mapping[str, str]] = []
        self.queries: list[dict[str, list[str]]] = []
        """Those of the URLs of all connections."""
        self.sessions: list[S] = []
        self._connections: set[ServerConnection] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """A server on a free port."""
        async with cls().serving() as self:
            yield self

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Serve on a free port."""
        async with serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._admit,
            process_response=self._accept,
            close_timeout=0.1,
        ) as server:
            host, port = next(iter(server.sockets)).getsockname()[:2]
            self.url = f"ws://{host}:{port}{self.path}"
            yield self

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def close_idle(self) -> None:
        """Close all connections in good order."""
        for connection in [*self._connections]:
            await connection.close()

    def lose_idle(self) -> None:
        """Read nothing more from any connection, so that pings are not answered either."""
        for connection in self._connections:
            connection.transport.pause_reading()

    @abstractmethod
    async def converse(self, connection: "Connection[S]") -> None:
        """Speak the protocol until the connection ends."""

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.heads.append({key.lower(): value for key, value in request.headers.raw_items()})
        self.queries.append(parse_qs(urlsplit(request.path).query))
        if self.trouble is None or (status := self.refusals.get(self.trouble)) is None:
            return None
        response = connection.respond(status, f'{{"message": "no, not with {KEY}"}}')
        response.headers["Retry-After"] = f"{RETRY_AFTER_S:.0f}"
        return response

    def _accept(self, _: ServerConnection, __: Request, response: Response) -> None:
        for name, value in self.answer_headers.items():
            response.headers[name] = value

    async def _serve(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        accepted = Connection(self, connection)
        try:
            await self.converse(accepted)
        except ConnectionClosed:
            pass
        finally:
            for session in accepted.sessions:
                session.has_ended = True
            self._connections.discard(connection)


class Connection(Generic[S]):
    """One connection; iterating yields what the adapter sends."""

    def __init__(self, server: SocketServer[S], connection: ServerConnection) -> None:
        self.sessions: list[S] = []
        """Those that end with this connection."""
        self._server = server
        self._connection = connection

    @property
    def path(self) -> str:
        """The path of its URL."""
        return urlsplit(self._request.path).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The query of its URL."""
        return parse_qs(urlsplit(self._request.path).query)

    @property
    def _request(self) -> Request:
        assert self._connection.request is not None
        return self._connection.request

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Yield messages until the adapter closes."""
        async for message in self._connection:
            yield message

    async def receive(self) -> str | bytes:
        """Return the next message."""
        return await self._connection.recv()

    def begin(self, session: S) -> S:
        """Note a session, which ends with the connection at the latest."""
        self.sessions.append(session)
        self._server.sessions.append(session)
        return session

    async def say(self, message: str | bytes) -> None:
        """Send what is not yet an answer, such as that a task begins."""
        if self._server.trouble is Trouble.SILENCE:
            return
        if self._server.trouble is Trouble.UNKNOWN:
            for each in self._server.unknown:
                await self._connection.send(each)
        await self._connection.send(message)

    async def answer(self, message: str | bytes) -> None:
        """Send a piece of an answer, or what comes in place of it or after it."""
        if self._server.trouble is Trouble.GARBAGE:
            message = self._server.garbage
        await self.say(message)
        match self._server.trouble:
            case Trouble.CUT:
                self._connection.transport.abort()
                await self._connection.wait_closed()
            case Trouble.CLOSE:
                await self.close(1011, "internal error")
            case Trouble.EARLY_END:
                await self.close(1000, "")

    async def refuse(self, message: str | bytes) -> None:
        """Send the message with which a vendor refuses what it has accepted at first."""
        await self._connection.send(message)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; a server that is silent does not."""
        if self._server.trouble is Trouble.SILENCE:
            await self._connection.wait_closed()
        await self._connection.close(code, reason)
