"""Processes are killed under load: nothing runs that nobody wants, and what was told is true.

`make chaos` does the same for longer, with pauses, and with restarts of everything.
"""

import pytest

from bench.chaos.run import Plan, chaos

KILLS = 3

pytestmark = pytest.mark.timeout(240)


async def test_kills() -> None:
    figures = await chaos(Plan(replicas=1, users=4, seed=1), None, kills=KILLS)
    assert not figures["violations"]
    assert sum(figures["kills"].values()) == KILLS
