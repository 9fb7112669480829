"""What the servers of vendors with HTTP share: requests, and what goes wrong with them."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Generic, Self, TypeVar

from tests.conformance.script import KEY, RETRY_AFTER_S, Session, Trouble
from tests.support.listening import listening
from tests.support.vendor import Answer, Vendor, VendorRequest

S = TypeVar("S", bound=Session)


class HttpServer(ABC, Generic[S]):
    """A server whose subclass answers a request in `answer`."""

    refusals: ClassVar[Mapping[Trouble, int]] = {
        Trouble.WRONG_KEY: 401,
        Trouble.QUOTA: 402,
        Trouble.RATE_LIMIT: 429,
        Trouble.UNAVAILABLE: 503,
    }
    content_type: ClassVar[str]
    garbage: ClassVar[bytes]
    unknown: ClassVar[bytes] = b""
    """What may come before the first piece of an answer."""

    def __init__(self) -> None:
        self.url = ""
        self.trouble: Trouble | None = None
        self.heads: list[Mapping[str, str]] = []
        self.sessions: list[S] = []
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """A server on a free port."""
        self = cls()
        async with listening(self._serve) as port:
            self.url = f"http://127.0.0.1:{port}/v1"
            yield self
            if self._connections:
                await asyncio.wait(self._connections)

    async def close_idle(self) -> None:
        """Nothing idles: each request has its own connection."""

    def lose_idle(self) -> None:
        """Nothing idles: each request has its own connection."""

    @abstractmethod
    async def hear(self, request: VendorRequest) -> tuple[S, list[bytes]]:
        """Return the session that a request is, and the pieces of its answer."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        vendor = Vendor(behaviour=lambda answer: self._answer(answer, vendor.requests[-1]))
        handling = asyncio.ensure_future(vendor.handle(reader, writer))
        self._connections.add(handling)
        handling.add_done_callback(self._connections.discard)
        await handling

    async def _answer(self, answer: Answer, request: VendorRequest) -> None:
        self.heads.append(request.headers)
        if self.trouble is not None and (status := self.refusals.get(self.trouble)):
            body = {"error": {"message": f"no, not with {KEY}"}}
            headers = {"retry-after": f"{RETRY_AFTER_S:.0f}"}
            await answer.whole(status, "application/json", json.dumps(body).encode(), headers)
            return
        session, pieces = await self.hear(request)
        self.sessions.append(session)
        try:
            await self._say(answer, pieces)
        finally:
            session.has_ended = True

    async def _say(self, answer: Answer, pieces: list[bytes]) -> None:
        if self.trouble is Trouble.SILENCE:
            await asyncio.Event().wait()
        await answer.begin(content_type=self.content_type)
        if self.trouble is Trouble.UNKNOWN and self.unknown:
            await answer.piece(self.unknown)
        for piece in [self.garbage] if self.trouble is Trouble.GARBAGE else pieces:
            await answer.piece(piece)
            if self.trouble in (Trouble.CUT, Trouble.CLOSE):
                answer.writer.transport.abort()
                return
            if self.trouble is Trouble.EARLY_END:
                break
        await answer.end()


def events(*documents: Any, end: str = "data: [DONE]\n\n") -> bytes:
    """Return server-sent events."""
    lines = [f"data: {json.dumps(each, ensure_ascii=False)}\n\n" for each in documents]
    return ("".join(lines) + end).encode()
