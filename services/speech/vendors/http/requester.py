"""Sends requests to an endpoint, to where it moved, and without parameters that it refuses."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

import httpx
import structlog

from services.speech.ports.stages import Stage
from services.speech.vendors.http.client import Endpoint, read_refusal, status_error
from services.speech.vendors.http.error_details import ErrorDetail, redacted

log = structlog.get_logger(__name__)

MOST_REDIRECTS = 3
_REDIRECTS = frozenset((301, 302, 307, 308))
"""Those that may keep the method."""
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
        self._addresses: dict[str, httpx.URL] = {}
        """By path: httpx takes long to put them together."""

    @asynccontextmanager
    async def post(
        self, path: str, content_of: Callable[[R], Mapping[str, Any]]
    ) -> AsyncIterator[httpx.Response]:
        """A successful response; `content_of` turns a request into httpx's arguments.

        Raises ProviderError.
        """
        request = self._request
        address = self._address(path)
        visited: list[httpx.URL] = []
        while True:
            async with self._client.stream("POST", address, **content_of(request)) as response:
                detail = await read_refusal(response)
                if detail is None:
                    self._request = request
                    yield response
                    return
            status, headers = response.status_code, response.headers
            if response.next_request is not None:
                address = response.next_request.url
                visited.append(response.url)
                if status not in _REDIRECTS or not _is_within(visited, address):
                    where = _redirection(address)
                    raise status_error(self._stage, self._endpoint, status, headers, where)
                continue
            accepted = request.without_refused(detail) if status in _REFUSED_REQUEST else None
            if accepted is None:
                raise status_error(self._stage, self._endpoint, status, headers, detail)
            log.warning(
                "request changed for a model that refuses some of it",
                stage=self._stage,
                provider=self._endpoint.name,
                vendor_message=redacted(detail.message, self._endpoint.api_key),
            )
            request = accepted

    def _address(self, path: str) -> httpx.URL:
        if path not in self._addresses:
            self._addresses[path] = self._client.build_request("POST", path).url
        return self._addresses[path]


def _is_within(visited: Sequence[httpx.URL], address: httpx.URL) -> bool:
    """Whether a redirect leads on within the endpoint's origin, which alone may have the key."""
    origins = {(each.scheme, each.host, each.port) for each in (*visited, address)}
    return len(origins) == 1 and address not in visited and len(visited) <= MOST_REDIRECTS


def _redirection(address: httpx.URL) -> ErrorDetail:
    # Without its query, which may hold secrets.
    return ErrorDetail(message=f"redirects to {address.copy_with(userinfo=b'', query=None)}")
