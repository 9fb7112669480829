"""An OpenTelemetry collector that keeps the spans it is sent over OTLP/HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.vendor import Answer, VendorRequest, scripted_vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A span and the process that it is of."""

    service: str
    span: Span


@dataclass(slots=True, kw_only=True)
class Collector:
    """What has come so far, in the traces that a test is about."""

    url: str
    spans: list[Seen] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, is_there: Callable[[list[Seen]], bool]) -> list[Seen]:
        """Wait until the spans are there."""
        async with self.came, asyncio.timeout(60):
            await self.came.wait_for(lambda: is_there(self.spans))
            return list(self.spans)

    async def take(self, requests: list[VendorRequest]) -> None:
        """Keep what the requests hold."""
        async with self.came:
            while requests:
                export = ExportTraceServiceRequest.FromString(requests.pop().body)
                for each in export.resource_spans:
                    attributes = {item.key: item.value for item in each.resource.attributes}
                    service = attributes["service.name"].string_value
                    for scope in each.scope_spans:
                        self.spans += [Seen(service=service, span=span) for span in scope.spans]
            self.came.notify_all()


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port of this machine."""

    async def accept(answer: Answer) -> None:
        await collector.take(server.requests)
        await answer.whole(200, "application/x-protobuf", b"")

    async with scripted_vendor(accept) as server:
        collector = Collector(url=server.base_url.removesuffix("/v1"))
        yield collector
