"""A server that webhooks lead to: it checks signatures, and takes or refuses what it is sent."""

import asyncio
import base64
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.listening import listening
from tests.support.vendor import Answer, VendorRequest, read_request

Json = dict[str, Any]

LOOPBACK = "127.0.0.0/8"


@dataclass(slots=True, kw_only=True)
class WebhookReceiver:
    """Answers with `statuses` one by one and then 204; `taken` are the events that it took."""

    statuses: deque[int] = field(default_factory=deque)
    gate: asyncio.Event | None = None
    """Holds every answer until it is set."""
    answer: Callable[[Answer], Awaitable[None]] | None = None
    """Answers instead, in its own way."""
    offered: list[Json] = field(default_factory=list)
    taken: list[Json] = field(default_factory=list)
    requests: list[VendorRequest] = field(default_factory=list)
    url: str = ""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @classmethod
    @asynccontextmanager
    async def open(cls, **fields: Any) -> AsyncIterator[Self]:
        """A receiver on a free port of this machine."""
        self = cls(**fields)
        async with listening(self._serve) as port:
            self.url = f"http://127.0.0.1:{port}/hook"
            yield self

    async def until(self, is_so: Callable[[Self], bool]) -> None:
        """Wait until something is so."""
        async with self._changed:
            await self._changed.wait_for(lambda: is_so(self))

    async def until_taken(self, number: int) -> list[Json]:
        """Wait until a number of events was taken, and return all of them."""
        await self.until(lambda self: len(self.taken) >= number)
        return self.taken

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of all requests."""
        return [each.headers for each in self.requests]

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of all requests."""
        return [each.body for each in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_request(reader)
            self.requests.append(request)
            await self._answer(json.loads(request.body), Answer(writer=writer))
        finally:
            writer.close()

    async def _answer(self, event: Json, answer: Answer) -> None:
        async with self._changed:
            self.offered.append(event)
            self._changed.notify_all()
        if self.gate is not None:
            await self.gate.wait()
        if self.answer is not None:
            await self.answer(answer)
            return
        status = self.statuses.popleft() if self.statuses else 204
        if status == 204:
            async with self._changed:
                self.taken.append(event)
                self._changed.notify_all()
        await answer.whole(status, "text/plain", b"answer")


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Return whether one of a message's signatures is by a secret."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return expected in headers["webhook-signature"].split(" ")
