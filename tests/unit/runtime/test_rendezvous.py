"""Which replica a key belongs to."""

from collections import Counter

from services.runtime.channels.rendezvous import ranked

ADDRESSES = [f"10.0.0.{number}:50052" for number in range(1, 6)]
KEYS = [f"task_{number}" for number in range(2_000)]


def test_the_order_in_which_addresses_are_known_does_not_matter() -> None:
    for key in KEYS[:100]:
        assert ranked(ADDRESSES, key) == ranked(reversed(ADDRESSES), key)


def test_keys_are_spread_evenly() -> None:
    held = Counter(ranked(ADDRESSES, key)[0] for key in KEYS)
    fair = len(KEYS) / len(ADDRESSES)
    assert all(0.8 * fair < count < 1.2 * fair for count in held.values()), held


def test_one_that_leaves_moves_its_own_keys_alone_and_spreads_them() -> None:
    gone, *left = ADDRESSES
    moved_to = Counter[str]()
    for key in KEYS:
        before, after = ranked(ADDRESSES, key), ranked(left, key)
        assert after == tuple(address for address in before if address != gone)
        if before[0] == gone:
            moved_to[after[0]] += 1
    assert moved_to.keys() == set(left)
    assert max(moved_to.values()) < 2 * min(moved_to.values())
