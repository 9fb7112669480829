"""Sends requests to an endpoint, and again without the parameters that its model refuses."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

import httpx
import structlog

from services.speech.ports import Stage
from services.speech.vendors.http.client import Endpoint, read_refusal, status_error
from services.speech.vendors.http.error_details import ErrorDetail, redacted

log = structlog.get_logger(__name__)

_REFUSED_REQUEST = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)


class Reducible(Protocol):
    """A request that can do without some of its parameters."""

    def without_refused(self, detail: ErrorDetail) -> Self | None:
        """Return the request without what a refusal names; None if it names nothing in it."""


R = TypeVar("R", bound=Reducible)


class Requester(Generic[R]):
    """Remembers the request that the model accepted."""

    def __init__(
        self, client: httpx.AsyncClient, endpoint: Endpoint, stage: Stage, request: R
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._stage = stage
        self._request = request

    @asynccontextmanager
    async def post(
        self, path: str, content_of: Callable[[R], Mapping[str, Any]]
    ) -> AsyncIterator[httpx.Response]:
        """A successful response; `content_of` turns a request into httpx's arguments.

        Raises ProviderError.
        """
        request = self._request
        while True:
            async with self._client.stream("POST", path, **content_of(request)) as response:
                detail = await read_refusal(response)
                if detail is None:
                    self._request = request
                    yield response
                    return
            status = response.status_code
            accepted = request.without_refused(detail) if status in _REFUSED_REQUEST else None
            if accepted is None:
                raise status_error(self._stage, self._endpoint, status, detail)
            log.warning(
                "request changed for a model that refuses some of it",
                stage=self._stage,
                provider=self._endpoint.name,
                vendor_message=redacted(detail.message, self._endpoint.api_key),
            )
            request = accepted
