"""Processes are killed under load: nothing runs that nobody wants, and what was told is true.

`make chaos` does the same for longer, with pauses and with restarts of everything.
"""

import pytest

from bench.chaos.run import Plan, chaos, unfaithful

pytestmark = pytest.mark.timeout(240)


async def test_kills_on_sqlite() -> None:
    figures = await chaos(Plan(replicas=1, users=4, seed=1), None, kills=5)
    assert not figures["violations"]
    assert sum(figures["kills"].values()) == 5


async def test_a_journal_and_a_cloud_not_to_be_relied_on() -> None:
    figures = await unfaithful(Plan(replicas=1, users=4, seed=4), None, minutes=0.1)
    assert not figures["violations"]
    assert figures["turns_acknowledged"] > 0
