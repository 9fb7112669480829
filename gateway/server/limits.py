"""What connections may cost before a request is known."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

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

    def refusal(self, address: str, held: Sequence[str]) -> ServiceError | None:
        """Return why no other connection of an address may be held beside those of `held`."""
        if len(held) >= self.total:
            return _full(Reason.CAPACITY_EXCEEDED, "Too many connections are open.")
        if not self._is_proxy(address) and held.count(address) >= self.per_address:
            return _full(Reason.RATE_LIMITED, "One address has too many connections open.")
        return None

    def _is_proxy(self, address: str) -> bool:
        if not self.proxies:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.proxies)


def _full(reason: Reason, message: str) -> ServiceError:
    return ServiceError(reason, message, retry_after_s=1)
