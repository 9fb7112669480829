"""Several replicas of each service are one to their callers."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bench.chaos.cluster import Cluster, running_cluster
from bench.chaos.postgres import killable_server
from bench.chaos.run import Plan, kill_processes, roll

API = "/api/digital-human"
CREATE = "CreateDigitalHumanStreamTask"
CALLS = 50
KILLS = 3

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    """Two of each service; whoever kills one starts it again."""
    with killable_server() as server:
        async with running_cluster(replicas=2, database=server.dsn, server=server) as running:
            yield running
    assert not running.faults


async def test_equal_creates_order_one_avatar(cluster: Cluster) -> None:
    """Over two gateways and two task services, and again after these were killed."""
    name = secrets.token_hex(8)
    order = {"roomId": name, "streamId": name, "lang": "en", "greeting": ""}
    ordered = cluster.cloud.calls[CREATE]
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        gateways = itertools.cycle(cluster.gateways)

        async def create() -> dict[str, Any]:
            headers = {"Idempotency-Key": name}
            answer = await http.post(
                f"{next(gateways)}{API}/create-task", json=order, headers=headers
            )
            assert answer.status_code == 200, answer.text
            # What it costs so far grows from answer to answer.
            return {name: each for name, each in answer.json().items() if name != "usage"}

        first, *others = await asyncio.gather(*(create() for _ in range(CALLS)))
        assert first["state"] == "STREAMING"
        assert others == [first] * (CALLS - 1)
        for service in ("task-1", "task-2"):
            await cluster.kill(service)
            await cluster.start(service)
        again = await asyncio.gather(*(create() for _ in range(CALLS)))
        assert again == [first] * CALLS
        assert cluster.cloud.calls[CREATE] == ordered + 1
        assert [each["StreamId"] for each in await cluster.on_air()] == [name]
        stopped = await http.post(
            f"{next(gateways)}{API}/stop-task", json={"taskId": first["taskId"]}
        )
        assert stopped.json()["state"] == "STOPPED"
        assert await cluster.on_air() == []


async def test_nobody_notices_that_one_of_each_is_restarted(cluster: Cluster) -> None:
    figures = await roll(Plan(replicas=2, users=4, seed=3), cluster, minutes=0, step=2)
    assert not figures["violations"]
    assert figures["restarts"] == 4
    assert figures["turns_acknowledged"] > 0


async def test_kills(cluster: Cluster) -> None:
    """As in test_chaos, but others are there, and the database may be killed too."""
    figures = await kill_processes(Plan(replicas=2, users=4, seed=2), cluster, kills=KILLS)
    assert not figures["violations"]
    assert sum(figures["kills"].values()) == KILLS
