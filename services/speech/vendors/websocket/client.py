"""A WebSocket to a vendor, whose failures are ProviderErrors."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import CloseCode
from websockets.protocol import State

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.vendors.http.client import CONNECT_S, Endpoint, status_error
from services.speech.vendors.http.error_details import read_error, redacted

SEND_S = 10.0
PING_S = 5.0
ALIVE_S = 1.0
CLOSE_S = 1.0
LONGEST_MESSAGE = 1 << 24
TOO_MANY_REQUESTS = 4429
"""The close code that vendors make of the HTTP status 429."""

_MISUSE = frozenset(
    (
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_DATA,
        CloseCode.POLICY_VIOLATION,
    )
)

# The library logs headers at debug level, and they hold the key.
_SILENT = logging.Logger("vendor-socket", level=logging.CRITICAL)


class VendorSocket:
    """An open connection; iterating yields messages until the vendor closes it normally."""

    def __init__(self, connection: ClientConnection, endpoint: Endpoint, stage: Stage) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._stage = stage

    @property
    def response_headers(self) -> Mapping[str, str]:
        """The headers with which the vendor accepted the connection."""
        response = self._connection.response
        return dict(response.headers.raw_items()) if response is not None else {}

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it, as far as is known."""
        return self._connection.state is State.OPEN

    async def is_alive(self) -> bool:
        """Whether the vendor answers a ping: a connection may break without a word."""
        try:
            async with asyncio.timeout(ALIVE_S):
                await (await self._connection.ping())
        except (ConnectionClosed, TimeoutError):
            return False
        return True

    async def send(self, message: str | bytes) -> None:
        """Send a message; raises ProviderError if the vendor takes no more."""
        try:
            async with asyncio.timeout(SEND_S):
                await self._connection.send(message)
        except ConnectionClosed as error:
            raise self._closed(error) from None
        except TimeoutError:
            raise self._failure("the provider takes no more") from None

    async def receive(self) -> str | bytes:
        """Return the next message; raises ProviderError if the connection ends first."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise self._closed(error) from None

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Yield messages; raises ProviderError unless the vendor closes with 1000 or 1001."""
        try:
            async for message in self._connection:
                yield message
        except ConnectionClosed as error:
            raise self._closed(error) from None

    def _closed(self, error: ConnectionClosed) -> ProviderError:
        frame = error.rcvd
        if frame is None:
            return self._failure("the connection broke")
        what = f"the provider closes the connection with code {frame.code}"
        said = redacted(frame.reason, self._endpoint.api_key)
        name = self._endpoint.name
        if frame.code == TOO_MANY_REQUESTS:
            return ProviderQuotaError(self._stage, name, what, vendor_message=said)
        is_transient = frame.code not in _MISUSE
        return ProviderError(self._stage, name, what, transient=is_transient, vendor_message=said)

    def _failure(self, what: str) -> ProviderError:
        return ProviderError(self._stage, self._endpoint.name, what, transient=True)


class _Connect(connect):
    """A connection to exactly the configured server: no other gets the key."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Treat a redirect as a refusal."""
        return exc


@asynccontextmanager
async def open_socket(
    endpoint: Endpoint, stage: Stage, *, url: str, headers: Mapping[str, str]
) -> AsyncIterator[VendorSocket]:
    """A connection to a URL of the endpoint; `headers` hold the key.

    Pings that are not answered break it. Raises ProviderError.
    """
    connection = await _connect(endpoint, stage, url, headers)
    try:
        yield VendorSocket(connection, endpoint, stage)
    finally:
        await asyncio.gather(connection.close(), _read_rest(connection))


async def _read_rest(connection: ClientConnection) -> None:
    """Read what nobody wants any more, behind which the vendor's answer to the close comes."""
    with suppress(ConnectionClosed, ConcurrencyError):
        async for _ in connection:
            pass


async def _connect(
    endpoint: Endpoint, stage: Stage, url: str, headers: Mapping[str, str]
) -> ClientConnection:
    try:
        return await _Connect(
            url,
            additional_headers=headers,
            compression=None,
            proxy=endpoint.proxy,
            open_timeout=CONNECT_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=LONGEST_MESSAGE,
            logger=_SILENT,
        )
    except InvalidStatus as error:
        response = error.response
        raise status_error(
            stage,
            endpoint,
            response.status_code,
            httpx.Headers(list(response.headers.raw_items())),
            read_error(bytes(response.body or b"")),
        ) from None
    except (InvalidURI, ValueError):  # whose text repeats the address
        what, is_transient = "the base URL is not an address", False
    except InvalidHandshake:
        what, is_transient = "the provider answers no WebSocket", True
    except TimeoutError:
        what, is_transient = "the provider is late", True
    except OSError as error:
        what, is_transient = f"the connection failed: {type(error).__name__}", True
    raise ProviderError(stage, endpoint.name, what, transient=is_transient)
