"""Which replicas a target stands for: `host:port`, several of these, or all addresses of a name."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog

from services.runtime.settings.values import ALL_ADDRESSES, split_list

log = structlog.get_logger(__name__)

ANSWER_S = 2.0
"""How long names may take to be resolved; what was known before is kept."""

Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host; raises OSError."""


async def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Resolution:
    """What the items of a target stand for, as last known."""

    def __init__(self, targets: str, lookup: Lookup = look_up) -> None:
        self._items = split_list(targets)
        self._lookup = lookup
        self._endpoints: dict[str, tuple[str, ...]] = {}
        """IP addresses with ports, by item."""

    @property
    def is_fixed(self) -> bool:
        """Whether there is one replica, whose name gRPC resolves."""
        return len(self._items) == 1 and not self._items[0].startswith(ALL_ADDRESSES)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The replicas; where names are written, these are kept, as their addresses may change."""
        found = [
            self._endpoints.get(item) or (item,) if item.startswith(ALL_ADDRESSES) else (item,)
            for item in self._items
        ]
        return tuple(dict.fromkeys(address for addresses in found for address in addresses))

    @property
    def all_together(self) -> str:
        """The target by which gRPC finds all replicas that are known, at least the first."""
        endpoints = {each for found in self._endpoints.values() for each in found}
        if self.is_fixed or not endpoints:
            return self._items[0]
        # gRPC takes one family at a time.
        four = [each for each in endpoints if not each.startswith("[")]
        return f"ipv4:{','.join(sorted(four))}" if four else f"ipv6:{','.join(sorted(endpoints))}"

    async def refresh(self) -> None:
        """Resolve all names again."""
        if not self.is_fixed:
            await asyncio.gather(*map(self._refresh, self._items))

    async def _refresh(self, item: str) -> None:
        host, _, port = item.removeprefix(ALL_ADDRESSES).rpartition(":")
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self._lookup(host.strip("[]"), int(port))
        except (OSError, TimeoutError):
            log.warning("replicas not resolved", target=item)
            return
        if endpoints := tuple(sorted({_endpoint(each, port) for each in found})):
            self._endpoints[item] = endpoints


def _endpoint(address: str, port: str) -> str:
    is_ipv6 = ipaddress.ip_address(address.partition("%")[0]).version == 6
    return f"[{address}]:{port}" if is_ipv6 else f"{address}:{port}"
