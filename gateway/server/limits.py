"""What connections may cost before a request is known."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

HEAD_TIMEOUT_S = 10.0
"""How long a client may take to begin a request, and to send all of its head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections are held at once, in all and for one address.

    Connections of the `proxies` count in all only: each of them carries many clients.
    """

    total: int = 4_096
    per_address: int = 512
    head_timeout_s: float = HEAD_TIMEOUT_S
    proxies: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()

    def has_room(self, address: str, held: Sequence[str]) -> bool:
        """Whether one more connection of an address may be held beside those of `held`."""
        if len(held) >= self.total:
            return False
        return self._is_proxy(address) or held.count(address) < self.per_address

    def _is_proxy(self, address: str) -> bool:
        if not self.proxies:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.proxies)
