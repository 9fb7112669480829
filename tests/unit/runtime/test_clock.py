"""Time goes on evenly within a process, whatever is done to the wall clock."""

import pytest

from services.runtime.clock import SteadyClock


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_goes_on_evenly(set_by_s: float) -> None:
    times = {"wall": 1_700_000_000.0, "steady": 500.0}
    clock = SteadyClock(wall=lambda: times["wall"], steady=lambda: times["steady"])
    assert (clock.time(), clock.jumped_s) == (1_700_000_000.0, 0.0)
    times["wall"] += set_by_s + 10
    times["steady"] += 10
    assert (clock.time(), clock.jumped_s) == (1_700_000_010.0, set_by_s)
