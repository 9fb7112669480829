"""Rendezvous hashing: which of several addresses a key belongs to, agreed without a word."""

from collections.abc import Iterable
from hashlib import blake2b


def ranked(addresses: Iterable[str], key: str) -> tuple[str, ...]:
    """Return the addresses in the order in which they come into question for a key.

    Whoever knows the same addresses gets the same order. One that leaves moves only the keys that
    it was first for, and spreads them over all others.
    """
    return tuple(sorted(addresses, key=lambda address: _weight(address, key), reverse=True))


def _weight(address: str, key: str) -> bytes:
    return blake2b(key.encode(), key=blake2b(address.encode()).digest(), digest_size=8).digest()
