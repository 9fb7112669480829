"""Flows take turns, at every level, whatever one of them puts into the queue."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.queues.fair_queue import FairQueue

Flow = tuple[str, str]
flows = st.tuples(st.sampled_from("ABC"), st.sampled_from("xyz"))


def filled(items: list[Flow]) -> FairQueue[tuple[Flow, int]]:
    queue: FairQueue[tuple[Flow, int]] = FairQueue()
    for number, flow in enumerate(items):
        queue.put((flow, number), flow)
    return queue


def drained(queue: FairQueue[tuple[Flow, int]]) -> list[tuple[Flow, int]]:
    return [queue.take() for _ in range(len(queue))]


def test_tenants_take_turns_and_within_them_their_conversations() -> None:
    queue = filled([("A", "x")] * 3 + [("A", "y")] + [("B", "z")] * 2)
    assert [flow for flow, _ in drained(queue)] == [
        *(("A", "x"), ("B", "z")),
        *(("A", "y"), ("B", "z")),
        *(("A", "x"), ("A", "x")),
    ]


def test_a_newcomer_waits_for_nobody_of_a_tenant_that_is_being_served() -> None:
    queue = filled([("A", "x")] * 5)
    queue.take()
    queue.put((("B", "z"), 5), ("B", "z"))
    assert queue.take() == (("B", "z"), 5)
    # But whoever comes again and again is no newcomer each time.
    queue.put((("B", "z"), 6), ("B", "z"))
    assert [tenant for (tenant, _), _ in drained(queue)] == ["A", "B", "A", "A", "A"]


@given(st.lists(flows))
def test_a_flow_keeps_its_order_and_nothing_is_lost(items: list[Flow]) -> None:
    taken = drained(filled(items))
    assert sorted(number for _, number in taken) == list(range(len(items)))
    for flow in set(items):
        numbers = [number for each, number in taken if each == flow]
        assert numbers == sorted(numbers)


@given(st.lists(flows))
def test_while_two_tenants_wait_neither_is_served_twice_in_a_row(items: list[Flow]) -> None:
    waiting = Counter(tenant for tenant, _ in items)
    last = ""
    for (tenant, _), _ in drained(filled(items)):
        others = waiting.total() - waiting[last]
        assert tenant != last or not others
        waiting[tenant] -= 1
        last = tenant


@given(st.lists(flows), st.integers(0, 50), flows)
def test_it_is_known_how_many_come_before_a_newcomer(
    items: list[Flow], served: int, newcomer: Flow
) -> None:
    queue = filled(items)
    for _ in range(min(served, len(items))):
        queue.take()
    ahead = queue.ahead_of(newcomer)
    queue.put((newcomer, -1), newcomer)
    assert [number for _, number in drained(queue)].index(-1) == ahead


@given(st.lists(flows, min_size=1), st.data())
def test_what_is_removed_leaves_no_trace(items: list[Flow], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(items) - 1))
    queue = filled(items)
    queue.remove((items[gone], gone), items[gone])
    queue.remove((items[gone], gone), items[gone])
    assert gone not in [number for _, number in drained(queue)]
    assert not queue
