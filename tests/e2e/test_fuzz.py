"""A share of `make fuzz`: hostile input at every level leaves all processes as they were."""

import pytest

from bench.fuzz.run import NAMES, Plan, fuzz

INPUTS = 800
pytestmark = pytest.mark.timeout(300)


async def test_hostile_input_does_no_harm() -> None:
    # How long others wait depends on the machine: `make fuzz` measures it.
    figures = await fuzz(Plan(inputs=INPUTS, seed=12), is_timed=False)
    assert not figures["broken"]
    assert not figures["violations"]
    # Each level has answered what it was sent.
    levels = {name.partition(":")[0] for name in figures["outcomes"]}
    assert levels == set(NAMES)
    assert figures["inputs"] > INPUTS * 0.95
    for wait in figures["others_waited"].values():
        assert wait["asked"]
        assert not wait["unanswered"]
