"""Processes are killed, and what they depend on fails: nothing runs that nobody wants.

And what users were told is true. `make chaos` does the same for longer, with pauses, and with
restarts of everything.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.chaos.cluster import UNFAITHFUL, Cluster, running_cluster
from bench.chaos.run import Plan, fail_dependencies, kill_processes

KILLS = 3

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Cluster]:
    """One of each process, on SQLite; who replaces one puts it back."""
    async with running_cluster(replicas=1) as running:
        yield running
    assert not running.faults


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(shared: Cluster) -> AsyncIterator[Cluster]:
    """The cluster, none of whose processes may log a fault during the test."""
    yield shared
    faults, shared.faults = shared.faults, []
    assert not faults


async def test_kills(cluster: Cluster) -> None:
    figures = await kill_processes(Plan(replicas=1, users=4, seed=1), cluster, kills=KILLS)
    assert not figures["violations"]
    assert sum(figures["kills"].values()) == KILLS


async def test_dependencies_not_to_be_relied_on(cluster: Cluster) -> None:
    """A journal and a cloud that refuse, lose and do in secret what they are asked."""
    async with cluster.replaced("task", UNFAITHFUL["task"]):
        figures = await fail_dependencies(Plan(replicas=1, users=4, seed=4), cluster, minutes=0.1)
    assert not figures["violations"]
    assert figures["turns_acknowledged"] > 0
