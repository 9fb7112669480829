"""A tool over HTTP that remembers what it was asked, and how often."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeAlias

from tests.support.listening import listening
from tests.support.vendor import Answer, Vendor, VendorRequest

Work: TypeAlias = Callable[[dict[str, Any]], Awaitable[str]]


class ToolServer:
    """Does the work that a test gives it, for each request."""

    def __init__(self, work: Work) -> None:
        self.url = ""
        self.keys: Counter[str] = Counter()
        """How often each call came."""
        self.requests: list[VendorRequest] = []
        self.arguments: list[dict[str, Any]] = []
        self.status = 200
        self._work = work

    @classmethod
    @asynccontextmanager
    async def open(cls, work: Work) -> AsyncIterator[Self]:
        """A server on a free port."""
        self = cls(work)
        async with listening(self._serve) as port:
            self.url = f"http://127.0.0.1:{port}/tool"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def behave(answer: Answer) -> None:
            request = vendor.requests[-1]
            self.requests.append(request)
            self.keys[request.headers["idempotency-key"]] += 1
            arguments = json.loads(request.body or b"{}")
            self.arguments.append(arguments)
            result = await self._work(arguments)
            await answer.whole(self.status, "text/plain", result.encode())

        vendor = Vendor(behaviour=behave)
        await vendor.handle(reader, writer)
