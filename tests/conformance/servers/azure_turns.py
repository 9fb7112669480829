"""A server that speaks the message protocol of Azure's speech services."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


@dataclass(slots=True)
class TurnLog:
    """A turn as the server saw it."""

    url: str
    context: dict[str, Any]
    texts: list[str] = field(default_factory=list)
    sound: bytes = b""
    is_input_finished: bool = False


@dataclass(slots=True)
class Faults:
    """What goes wrong, each once set."""

    status: HTTPStatus | None = None
    answer: str | bytes | None = None
    is_silent: bool = False
    close: tuple[int, str] | None = None


class TurnServer:
    """Runs turns by `perform`, which answers each input."""

    def __init__(self, perform: "Callable[[TurnConnection], Awaitable[None]]") -> None:
        self.faults = Faults()
        self.headers: list[dict[str, str]] = []
        self.turns: list[TurnLog] = []
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.url = ""
        self._perform = perform
        self._connections: set[ServerConnection] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, perform: "Callable[[TurnConnection], Awaitable[None]]"
    ) -> AsyncIterator[Self]:
        """A server on a free port."""
        self = cls(perform)

        def refuse(connection: ServerConnection, request: Request) -> Response | None:
            self.headers.append(dict(request.headers.raw_items()))
            if self.faults.status is None:
                return None
            return connection.respond(self.faults.status, "Access denied")

        async with serve(self._serve, "127.0.0.1", 0, process_request=refuse) as server:
            host, port = next(iter(server.sockets)).getsockname()[:2]
            self.url = f"ws://{host}:{port}"
            yield self

    async def until(self, event: str) -> None:
        """Wait for an event: the path of a message, or `closed`."""
        while await self.events.get() != event:
            pass

    async def close_idle(self) -> None:
        """Close all connections normally, as the vendor does with idle ones."""
        for connection in [*self._connections]:
            await connection.close()

    async def _serve(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        try:
            while True:
                turn = await self._begin(connection)
                await self._perform(turn)
                await turn.say("turn.end")
        except ConnectionClosed:
            pass
        finally:
            self._connections.discard(connection)
            await connection.wait_closed()
            self.events.put_nowait("closed")

    async def _begin(self, connection: ServerConnection) -> "TurnConnection":
        config, _ = _parse(await connection.recv())
        assert config["path"] == "speech.config"
        headers, body = _parse(await connection.recv())
        assert headers["path"] in ("speech.context", "synthesis.context")
        assert connection.request is not None
        log = TurnLog(connection.request.path, json.loads(body))
        self.turns.append(log)
        self.events.put_nowait(headers["path"])
        if self.faults.is_silent:
            await connection.wait_closed()
        turn = TurnConnection(connection, self, log, headers["x-requestid"])
        await turn.say("turn.start", {"context": {"serviceTag": "tag"}})
        return turn


class TurnConnection:
    """A turn that the server runs."""

    def __init__(
        self, connection: ServerConnection, server: TurnServer, log: TurnLog, request_id: str
    ) -> None:
        self.log = log
        self.faults = server.faults
        self._connection = connection
        self._events = server.events
        self._request_id = request_id

    async def inputs(self) -> AsyncIterator[str | bytes]:
        """Yield texts and sound until either is finished."""
        async for message in self._connection:
            headers, body = _parse(message)
            assert headers["x-requestid"] == self._request_id
            self._events.put_nowait(headers["path"])
            if headers["path"] == "text.end" or body == b"":
                self.log.is_input_finished = True
                return
            if isinstance(body, bytes):
                assert headers["path"] == "audio"
                self.log.sound += body
            else:
                assert headers["path"] == "text.piece"
                self.log.texts.append(body)
            yield body
            await self._go_wrong()

    async def _go_wrong(self) -> None:
        if self.faults.answer is not None:
            await self._connection.send(self.faults.answer)
        if self.faults.close is not None:
            await self._connection.close(*self.faults.close)

    async def say(self, path: str, document: Mapping[str, Any] | None = None) -> None:
        """Send a message of JSON."""
        await self._connection.send(
            f"X-RequestId:{self._request_id}\r\nPath:{path}\r\n"
            f"Content-Type:application/json; charset=utf-8\r\n\r\n{json.dumps(document or {})}"
        )

    async def sound(self, pcm: bytes) -> None:
        """Send sound."""
        headers = f"X-RequestId:{self._request_id}\r\nX-StreamId:1\r\nPath:audio\r\n".encode()
        await self._connection.send(len(headers).to_bytes(2, "big") + headers + pcm)


def query_of(log: TurnLog) -> dict[str, list[str]]:
    """Return the query with which a turn's connection was opened."""
    return parse_qs(urlsplit(log.url).query)


def _parse(message: str | bytes) -> tuple[dict[str, str], str | bytes]:
    if isinstance(message, str):
        head, _, body = message.partition("\r\n\r\n")
        return _headers(head), body
    length = int.from_bytes(message[:2], "big")
    return _headers(message[2 : 2 + length].decode()), message[2 + length :]


def _headers(head: str) -> dict[str, str]:
    lines = (line.split(":", 1) for line in head.split("\r\n") if line)
    return {name.lower(): value.strip() for name, value in lines}
