"""A vendor's HTTP server that does exactly what a test's script says, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from tests.support.listening import listening


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRequest:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Answer:
    """Writes a response in pieces; each piece is one chunk of the body."""

    writer: asyncio.StreamWriter

    async def begin(
        self,
        status: int = 200,
        content_type: str = "text/event-stream",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the head."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(
            f"HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\n"
            f"{more}transfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode()
        )
        await self.writer.drain()

    async def piece(self, data: bytes) -> None:
        """Write some of the body and let the other side take it."""
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()
        await asyncio.sleep(0)

    async def end(self) -> None:
        """Close the body as it should be; a script that does not is a cut stream."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def whole(
        self,
        status: int,
        content_type: str,
        body: bytes,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write all at once."""
        await self.begin(status, content_type, headers)
        if body:  # An empty chunk would end it, and the end follow as what no client expects.
            await self.piece(body)
        await self.end()


Behaviour: TypeAlias = Callable[[Answer], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Vendor:
    """A server that is up; `gone` is set when a caller hangs up during an answer."""

    behaviour: Behaviour
    base_url: str = ""
    requests: list[VendorRequest] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request and answer it by the script."""
        try:
            self.requests.append(await read_request(reader))
            answering = asyncio.ensure_future(self.behaviour(Answer(writer=writer)))
            hanging_up = asyncio.ensure_future(reader.read())
            await asyncio.wait({answering, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.gone.set()
            for each in (answering, hanging_up):
                each.cancel()
            await asyncio.gather(answering, hanging_up, return_exceptions=True)
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> VendorRequest:
    """Return the next request of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return VendorRequest(path=first.split(" ")[1], headers=headers, body=body)


@asynccontextmanager
async def scripted_vendor(behaviour: Behaviour) -> AsyncIterator[Vendor]:
    """A vendor on a free port of this machine."""
    vendor = Vendor(behaviour=behaviour)
    async with listening(vendor.handle) as port:
        vendor.base_url = f"http://127.0.0.1:{port}/v1"
        yield vendor
