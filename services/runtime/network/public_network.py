"""Connects only to the public internet: for addresses that a stranger chooses.

A name is resolved here and the connection goes to the address that was checked, so that a second
answer of its name server changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import httpcore
import httpx

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Through these an IPv6 address leads to an IPv4 address, which may be private.
_TRANSLATED = tuple(
    ipaddress.IPv6Network(each)
    for each in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)


class PrivateAddress(httpcore.ConnectError):
    """The host is not on the public internet."""


class PublicNetwork(httpcore.AnyIOBackend):
    """Opens connections to public addresses, and to those of the networks that it is given."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # as the base class has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host; raises `PrivateAddress` if any of its addresses is not allowed.

        They are tried one after the other.
        """
        addresses = await _resolve(host, port)
        if not all(map(self.is_allowed, addresses)):
            raise PrivateAddress("the host has an address that is not public")
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            try:
                return await super().connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Refuse: a path is no host."""
        raise PrivateAddress("a path is no host")

    def is_allowed(self, address: Address) -> bool:
        """Whether an address may be connected to."""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._allowed):
            return True
        return (
            address.is_global
            and not address.is_multicast
            and not any(address in network for network in _TRANSLATED)
        )


class PublicTransport(httpx.AsyncBaseTransport):
    """A transport whose connections, of any number, are those of a `PublicNetwork`.

    Authorities are those of SSL_CERT_FILE or SSL_CERT_DIR where these are set. They are read for
    the first request, in a thread, because they are many: most processes make none.
    """

    def __init__(self, network: PublicNetwork, *, keep_alive: int) -> None:
        self._network = network
        self._keep_alive = keep_alive
        self._opened: httpx.AsyncHTTPTransport | None = None
        self._opening = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on; raises ConnectError when the authorities cannot be read."""
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(self._open)
        return await self._opened.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.aclose()

    def _open(self) -> httpx.AsyncHTTPTransport:
        try:
            authorities = httpx.create_ssl_context()
        except OSError:
            raise httpx.ConnectError("SSL_CERT_FILE or SSL_CERT_DIR cannot be read") from None
        transport = httpx.AsyncHTTPTransport(verify=authorities, trust_env=False)
        # httpx offers no parameter for it.
        transport._pool = httpcore.AsyncConnectionPool(
            ssl_context=authorities,
            max_connections=None,
            max_keepalive_connections=self._keep_alive,
            network_backend=self._network,
        )
        return transport


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the host has no address") from error
    return [ipaddress.ip_address(address[0]) for *_, address in found]
