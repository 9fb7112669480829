"""Answers over HTTP that are read as they come."""

from collections.abc import AsyncIterator
from typing import TypeVar

from services.speech.ports.stages import Stage
from services.speech.streams import closing, timely
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.http.error_details import ErrorDetail

T = TypeVar("T")


class AnswerError(Exception):
    """The answer is not a reply; `detail` is what the vendor says, if it says anything."""

    def __init__(self, what: str, detail: ErrorDetail | None = None) -> None:
        super().__init__(what)
        self.detail = detail


async def in_time(answer: AsyncIterator[T], stage: Stage, endpoint: Endpoint) -> AsyncIterator[T]:
    """Yield an answer within the endpoint's deadlines; raises ProviderError."""
    with provider_errors(stage, endpoint.name):
        async with closing(timely(answer, endpoint.deadlines)) as items:
            async for item in items:
                yield item
