"""What the servers of Azure share: messages with headers, in turns."""

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any, Generic, TypeVar

from tests.conformance.script import Session
from tests.conformance.socket_server import Connection, SocketServer

S = TypeVar("S", bound=Session)
TICKS_PER_S = 10_000_000


class TurnServer(SocketServer[S], Generic[S]):
    """Runs turns, each by `perform`."""

    context_path: str

    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[dict[str, Any]] = []
        self.addresses: list[tuple[str, Mapping[str, list[str]]]] = []

    @abstractmethod
    def begin(self, context: Mapping[str, Any], query: Mapping[str, list[str]]) -> S:
        """Return what is remembered of a turn."""

    @abstractmethod
    async def perform(self, turn: "TurnConnection[S]") -> None:
        """Answer the inputs of a turn until the last."""

    async def converse(self, connection: Connection[S]) -> None:
        """Run one turn after the other."""
        while True:
            config, _ = parse(await connection.receive())
            assert config["path"] == "speech.config"
            headers, body = parse(await connection.receive())
            assert headers["path"] == self.context_path
            self.contexts.append(json.loads(body))
            self.addresses.append((connection.path, connection.query))
            session = connection.begin(self.begin(self.contexts[-1], connection.query))
            turn = TurnConnection(connection, headers["x-requestid"], session)
            await turn.say("turn.start", {"context": {"serviceTag": "tag"}})
            await self.perform(turn)
            await turn.say("turn.end")


class TurnConnection(Generic[S]):
    """A turn that the server runs."""

    def __init__(self, connection: Connection[S], request_id: str, session: S) -> None:
        self.session = session
        self._connection = connection
        self._request_id = request_id

    async def inputs(self) -> AsyncIterator[str | bytes]:
        """Yield texts and sound until either is finished."""
        async for message in self._connection:
            headers, body = parse(message)
            assert headers["x-requestid"] == self._request_id
            if headers["path"] == "text.end" or body == b"":
                self.session.is_finished = self.session.has_ended = True
                return
            assert headers["path"] == ("audio" if isinstance(body, bytes) else "text.piece")
            yield body

    async def say(self, path: str, document: Mapping[str, Any] | None = None) -> None:
        """Send a message of JSON that is no piece of the answer."""
        await self._connection.say(self._message(path, document))

    async def answer(self, path: str, document: Mapping[str, Any]) -> None:
        """Send a message of JSON."""
        await self._connection.answer(self._message(path, document))

    async def sound(self, pcm: bytes) -> None:
        """Send sound."""
        headers = f"X-RequestId:{self._request_id}\r\nX-StreamId:1\r\nPath:audio\r\n".encode()
        await self._connection.answer(len(headers).to_bytes(2, "big") + headers + pcm)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        await self._connection.close(code, reason)

    def _message(self, path: str, document: Mapping[str, Any] | None) -> str:
        return (
            f"X-RequestId:{self._request_id}\r\nPath:{path}\r\n"
            f"Content-Type:application/json; charset=utf-8\r\n\r\n{json.dumps(document or {})}"
        )


def parse(message: str | bytes) -> tuple[dict[str, str], str | bytes]:
    """Return the headers and the body of a message."""
    if isinstance(message, str):
        head, _, body = message.partition("\r\n\r\n")
        return _headers(head), body
    length = int.from_bytes(message[:2], "big")
    return _headers(message[2 : 2 + length].decode()), message[2 + length :]


def _headers(head: str) -> dict[str, str]:
    lines = (line.split(":", 1) for line in head.split("\r\n") if line)
    return {name.lower(): value.strip() for name, value in lines}
