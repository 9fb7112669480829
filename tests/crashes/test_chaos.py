"""Processes are killed under load: nothing runs that nobody wants, and what was told is true.

`make chaos` does the same for longer, with pauses, and with restarts of everything.
"""

import pytest

from bench.chaos.postgres import killable_server
from bench.chaos.run import Plan, chaos

KILLS = 3

pytestmark = pytest.mark.timeout(240)


async def test_kills_on_sqlite() -> None:
    figures = await chaos(Plan(replicas=1, users=4, seed=1), None, kills=KILLS)
    assert not figures["violations"]
    assert sum(figures["kills"].values()) == KILLS


async def test_kills_on_postgres() -> None:
    with killable_server() as server:
        figures = await chaos(Plan(replicas=2, users=4, seed=2), server, kills=KILLS)
    assert not figures["violations"]
    assert sum(figures["kills"].values()) == KILLS
