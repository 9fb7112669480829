"""Sends the requests of httpx by aiohttp, whose parser is in C.

Between the user's last word and the first sound of a reply there is at least one request, and each
of the model's tokens is a chunk of its answer.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Self

import aiohttp
import httpx
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

IDLE_S = 30.0
"""A connection waits so long for the next request: the user listens, thinks and asks meanwhile."""
LONGEST_HEADER_BYTES = 1 << 16
"""Of the status line too."""
_OWN_HEADERS = ("accept", "accept-encoding", "content-type", "user-agent")
"""Which aiohttp would add, where httpx has chosen to send none."""


class VendorTransport(httpx.AsyncBaseTransport):
    """Connections to one server; obeys the timeouts `connect` and `write` of each request.

    Nothing of the environment applies but SSL_CERT_FILE and SSL_CERT_DIR; `proxy` is an HTTP proxy.
    """

    def __init__(self, session: aiohttp.ClientSession, proxy: str | None) -> None:
        self._session = session
        self._proxy = proxy

    @classmethod
    def to(cls, url: str, *, proxy: str | None) -> Self:
        """A transport for the host of a URL; raises OSError if certificates cannot be read.

        Without TLS no authority is read, which takes 20 ms, and none is trusted.
        """
        has_tls = any(each and each.startswith(("https:", "wss:")) for each in (url, proxy))
        context = httpx.create_ssl_context() if has_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        connector = aiohttp.TCPConnector(ssl=context, keepalive_timeout=IDLE_S)
        session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OWN_HEADERS,
            max_line_size=LONGEST_HEADER_BYTES,
            max_field_size=LONGEST_HEADER_BYTES,
        )
        return cls(session, proxy)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response once its head has come."""
        limits = request.extensions["timeout"]
        body = await request.aread()
        await _idle_connections_read()
        with _errors():
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=_Body(body, within_s=limits["write"]) if body else None,
                timeout=aiohttp.ClientTimeout(connect=limits["connect"]),
                allow_redirects=False,
                proxy=self._proxy,
            )
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_Answer(response)
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _idle_connections_read() -> None:
    """Have the loop notice which of the connections in the pool their servers have closed.

    A request on such a connection would fail. The first turn of the loop finds what can be read,
    the second reads it.
    """
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class _Body(aiohttp.Payload):
    """The body of a request; TimeoutError if the server does not take it in time."""

    def __init__(self, body: bytes, *, within_s: float) -> None:
        super().__init__(body)
        self._body = body
        self._size = len(body)
        self._within_s = within_s

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        async with asyncio.timeout(self._within_s):
            await writer.write(self._body)


class _Answer(httpx.AsyncByteStream):
    """The body of a response, as it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors():
            async for piece in self._response.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._response.close()


@contextmanager
def _errors() -> Iterator[None]:
    """Turn aiohttp's errors into httpx's."""
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except TimeoutError as error:
        raise httpx.WriteTimeout("the server does not take the request") from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except aiohttp.ClientHttpProxyError as error:
        raise httpx.ProxyError(str(error)) from error
    except aiohttp.InvalidURL as error:
        raise httpx.InvalidURL(str(error)) from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except aiohttp.ClientConnectionError as error:
        raise httpx.ReadError(str(error)) from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
