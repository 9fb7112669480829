"""What the servers of vendors with gRPC share: calls, connections, and what goes wrong."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Generic, Self, TypeVar

import grpc
from google.protobuf.message import Message

from tests.conformance.script import KEY, Session, Trouble
from tests.conformance.subject import NO_OLD_CONNECTIONS
from tests.support.listening import listening

REFUSALS: Mapping[Trouble, grpc.StatusCode] = {
    Trouble.WRONG_KEY: grpc.StatusCode.UNAUTHENTICATED,
    Trouble.QUOTA: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Trouble.RATE_LIMIT: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Trouble.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
UNKNOWN_FIELD = b"\xda\x07\x08applause"
"""A field of number 123."""
GARBAGE = b"\xff"

OVER_GRPC = {
    **NO_OLD_CONNECTIONS,
    **dict.fromkeys(
        ("connection_lost", "idle_connection_lost"),
        "pings are rare, since gRPC's servers refuse them, and TCP notices what nobody"
        " acknowledges, which a server on the same machine always does",
    ),
}

CANCEL_S = 0.1

S = TypeVar("S", bound=Session)


class GrpcServer(ABC, Generic[S]):
    """A server whose subclass answers the calls of one method in `answer`.

    Connections pass through a relay, which can break them.
    """

    service: ClassVar[str]
    method: ClassVar[str]
    request: ClassVar[type[Message]]

    def __init__(self) -> None:
        self.url = ""
        self.trouble: Trouble | None = None
        self.heads: list[Mapping[str, str]] = []
        self.sessions: list[S] = []
        self._port = 0
        self._connections: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """A server on a free port."""
        self = cls()
        handler = grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=cls.request.FromString,
            response_serializer=bytes,
        )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(cls.service, {cls.method: handler}),)
        )
        self._port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with listening(self._relay) as port:
                self.url = f"http://127.0.0.1:{port}"
                yield self
        finally:
            self.break_connections()
            await server.stop(grace=0)

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def close_idle(self) -> None:
        """Close all connections."""
        for connection in [*self._connections]:
            connection.close()
            await connection.wait_closed()

    def lose_idle(self) -> None:
        """Read nothing more from any connection."""
        for connection in self._connections:
            connection.transport.pause_reading()  # type: ignore[attr-defined]

    def break_connections(self) -> None:
        """Break all connections at once."""
        for connection in self._connections:
            connection.transport.abort()

    @abstractmethod
    async def converse(self, call: "ServedCall[S]") -> None:
        """Answer the requests of a call until the last."""

    async def _serve(self, requests: AsyncIterator[Any], context: Any) -> None:
        self.heads.append({key: str(value) for key, value in context.invocation_metadata()})
        if self.trouble is not None and self.trouble in REFUSALS:
            await context.abort(REFUSALS[self.trouble], f"no, not with {KEY}")
        call = ServedCall(self, requests, context)
        try:
            await self.converse(call)
            if self.trouble is Trouble.SILENCE:
                await asyncio.Event().wait()
        except _EarlyEndError:
            pass
        finally:
            for session in call.sessions:
                session.has_ended = True

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        except OSError:
            pass  # It came as the server was about to end.
        finally:
            self._connections.discard(writer)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until either side ends."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class _EarlyEndError(Exception):
    """The server ends a call, as if all were well."""


class ServedCall(Generic[S]):
    """A call; iterating yields the requests."""

    def __init__(self, server: GrpcServer[S], requests: AsyncIterator[Any], context: Any) -> None:
        self.sessions: list[S] = []
        self._server = server
        self._requests = requests
        self._context = context

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield requests until the adapter has sent the last."""
        async for request in self._requests:
            yield request
        # Of a cancelled call, too, the requests end, just before its handler is cancelled.
        await asyncio.sleep(CANCEL_S)

    def begin(self, session: S) -> S:
        """Note a session, which ends with the call at the latest."""
        self.sessions.append(session)
        self._server.sessions.append(session)
        return session

    async def answer(self, message: Message) -> None:
        """Send a piece of an answer, or what comes in place of it or after it."""
        trouble = self._server.trouble
        data = message.SerializeToString()
        if trouble is Trouble.SILENCE:
            return
        if trouble is Trouble.UNKNOWN:
            await self._context.write(UNKNOWN_FIELD)
            data += UNKNOWN_FIELD
        await self._context.write(GARBAGE if trouble is Trouble.GARBAGE else data)
        match trouble:
            case Trouble.CUT:
                self._server.break_connections()
                await asyncio.Event().wait()
            case Trouble.CLOSE:
                await self._context.abort(grpc.StatusCode.INTERNAL, "internal error")
            case Trouble.EARLY_END:
                raise _EarlyEndError
