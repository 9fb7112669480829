"""Which replicas are alive, and what each of them has to do."""

from dataclasses import dataclass
from typing import Protocol

LEASE_S = 4.0
"""How long a replica that shows no sign of life keeps what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A process that can hold leases; `address` is where callers reach it, empty for nowhere."""

    replica_id: str
    address: str


class Replicas(Protocol):
    """Keeps which replicas are alive, and who has which duty."""

    async def keep(self, replica: Replica) -> None:
        """Keep a replica alive for LEASE_S; it takes the place of an older one at its address."""

    async def forget(self, replica_id: str) -> None:
        """Free what a replica holds, as it is about to end."""

    async def lead(self, duty: str, replica_id: str) -> bool:
        """Return whether a replica is the one that has a duty, which it keeps while it is alive."""
