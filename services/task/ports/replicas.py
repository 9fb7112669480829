"""Which replicas are alive, and what each of them has to do."""

from dataclasses import dataclass

LEASE_S = 4.0
"""How long a replica that shows no sign of life keeps what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A process that can hold leases; `address` is where callers reach it, empty for nowhere."""

    replica_id: str
    address: str
