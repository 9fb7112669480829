"""Connects only to the public internet: for addresses that a stranger chooses.

A name is resolved here and the connection goes to the address that was checked, so that a second
answer of its name server changes nothing. Redirects connect in the same way.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore
import httpx

from engine.authorities import authorities

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Through these an IPv6 address leads to an IPv4 address, which may be private.
TRANSLATED = tuple(
    ipaddress.IPv6Network(each)
    for each in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)


class PrivateAddress(httpcore.ConnectError):
    """The host is not on the public internet."""


class PublicNetwork(httpcore.AnyIOBackend):
    """Opens connections to public addresses, and to those of the networks that it is given."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = allowed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # as the base class has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host; raises `PrivateAddress` if any of its addresses is not allowed."""
        addresses = await _resolve(host, port)
        if not all(map(self.is_allowed, addresses)):
            raise PrivateAddress("the host has an address that is not public")
        return await super().connect_tcp(
            str(addresses[0]), port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
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
            and not any(address in network for network in TRANSLATED)
        )


class PublicTransport(httpx.AsyncHTTPTransport):
    """A transport whose connections are those of a `PublicNetwork`."""

    def __init__(self, network: PublicNetwork) -> None:
        super().__init__(verify=authorities(), trust_env=False)
        # httpx offers no parameter for it.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=authorities(), network_backend=network
        )


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the host has no address") from error
    return [ipaddress.ip_address(address[0]) for *_, address in found]
