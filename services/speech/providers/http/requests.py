"""Asks an endpoint, and again without what its model refuses."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

import httpx
import structlog

from services.speech.ports import Stage
from services.speech.providers.http.client import Endpoint, refusal_of, refused
from services.speech.providers.http.complaints import Complaint, fit_for_log

log = structlog.get_logger(__name__)

_REFUSED_REQUEST = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)


class Yielding(Protocol):
    """A request of which some may be left out."""

    def without_refused(self, complaint: Complaint) -> Self | None:
        """Return the request without what a refusal names; None if it names nothing of it."""


R = TypeVar("R", bound=Yielding)


class Asking(Generic[R]):
    """Remembers of which request the model refuses nothing."""

    def __init__(
        self, client: httpx.AsyncClient, endpoint: Endpoint, stage: Stage, request: R
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._stage = stage
        self._request = request

    @asynccontextmanager
    async def ask(
        self, path: str, content_of: Callable[[R], Mapping[str, Any]]
    ) -> AsyncIterator[httpx.Response]:
        """An answer that is a success; `content_of` gives what httpx sends for a request.

        Raises ProviderError.
        """
        request = self._request
        while True:
            async with self._client.stream("POST", path, **content_of(request)) as response:
                complaint = await refusal_of(response)
                if complaint is None:
                    self._request = request
                    yield response
                    return
            status = response.status_code
            accepted = request.without_refused(complaint) if status in _REFUSED_REQUEST else None
            if accepted is None:
                raise refused(self._stage, self._endpoint, status, complaint)
            log.warning(
                "request changed for a model that refuses some of it",
                stage=self._stage,
                provider=self._endpoint.name,
                vendor_message=fit_for_log(complaint.message, self._endpoint.api_key),
            )
            request = accepted
