"""Processes are killed under load: nothing runs that nobody wants, and what was told is true.

`make chaos` does the same for longer.
"""

import pytest

from bench.chaos.postgres import killable_server
from bench.chaos.run import Plan, chaos, rolling, unfaithful

pytestmark = pytest.mark.timeout(240)


async def test_kills_on_sqlite() -> None:
    figures = await chaos(Plan(replicas=1, users=4, seed=1), None, kills=8)
    assert figures["violations"] == [], figures
    assert sum(figures["kills"].values()) == 8


async def test_kills_on_postgres() -> None:
    with killable_server() as server:
        figures = await chaos(Plan(replicas=2, users=4, seed=2), server, kills=8)
    assert figures["violations"] == [], figures
    assert sum(figures["kills"].values()) == 8


async def test_a_rolling_restart_is_not_noticed() -> None:
    with killable_server() as server:
        figures = await rolling(Plan(replicas=2, users=4, seed=3), server, minutes=0)
    assert figures["violations"] == [], figures
    assert figures["restarts"] == 8
    assert figures["turns_acknowledged"] > 0


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_dependencies_not_to_be_relied_on(database: str) -> None:
    plan = Plan(replicas=1, users=4, seed=4)
    if database == "sqlite":
        figures = await unfaithful(plan, None, minutes=0.1)
    else:
        with killable_server() as server:
            figures = await unfaithful(plan, server, minutes=0.1)
    assert figures["violations"] == [], figures
    assert figures["turns_acknowledged"] > 0
