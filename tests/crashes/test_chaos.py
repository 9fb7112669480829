"""Processes are killed, and what they depend on fails: nothing runs that nobody wants.

And what users were told is true. `make chaos` does the same for longer, with pauses, and with
restarts of everything.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.chaos.cluster import UNFAITHFUL, Cluster, running_cluster
from bench.chaos.run import Plan, distrust, strike

KILLS = 3

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    """One of each process, on SQLite."""
    async with running_cluster(replicas=1) as running:
        yield running
    assert not running.faults


async def test_kills(cluster: Cluster) -> None:
    figures = await strike(Plan(replicas=1, users=4, seed=1), cluster, kills=KILLS)
    assert not figures["violations"]
    assert sum(figures["kills"].values()) == KILLS


async def test_dependencies_not_to_be_relied_on(cluster: Cluster) -> None:
    """A journal and a cloud that refuse, lose and do in secret what they are asked."""
    await cluster.replace("task", UNFAITHFUL["task"])
    figures = await distrust(Plan(replicas=1, users=4, seed=4), cluster, minutes=0.1)
    assert not figures["violations"]
    assert figures["turns_acknowledged"] > 0
