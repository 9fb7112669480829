"""How often one caller may do something: a bucket of attempts each, which refills with time."""

import ipaddress
from collections import OrderedDict

from engine.clock import Clock

# Those who attempted something longest ago are forgotten first.
MAX_CALLERS = 10_000
IPV6_SITE_BITS = 64
FAILURES, FAILURES_PER_SECOND = 20, 0.5


class Throttle:
    """Gives each caller `burst` attempts at once, and `per_second` from then on."""

    def __init__(self, clock: Clock, *, burst: int, per_second: float) -> None:
        self._clock = clock
        self._burst = burst
        self._per_second = per_second
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, caller: str) -> bool:
        """Whether the caller has an attempt left."""
        return self._spent_by(caller) <= self._burst - 1

    def count(self, caller: str) -> None:
        """Count one attempt of the caller."""
        spent = min(self._spent_by(caller) + 1, self._burst)
        self._spent[caller] = (spent, self._clock.monotonic())
        self._spent.move_to_end(caller)
        if len(self._spent) > MAX_CALLERS:
            self._spent.popitem(last=False)

    def _spent_by(self, caller: str) -> float:
        spent, at = self._spent.get(caller, (0.0, 0.0))
        return max(0.0, spent - (self._clock.monotonic() - at) * self._per_second)


def failures_of_callers(clock: Clock) -> Throttle:
    """Return how often a caller may present a token that cannot be trusted."""
    return Throttle(clock, burst=FAILURES, per_second=FAILURES_PER_SECOND)


def caller_at(host: str) -> str:
    """Return the name of the caller at an address; a whole IPv6 site is one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), IPV6_SITE_BITS), strict=False))
