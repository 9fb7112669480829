"""Several replicas of each service are one to their callers."""

import asyncio
import itertools
import secrets
from typing import Any

import httpx
import pytest

from bench.chaos.cluster import running_cluster

API = "/api/digital-human"
CREATE = "CreateDigitalHumanStreamTask"
CALLS = 50

pytestmark = pytest.mark.timeout(240)


async def test_equal_creates_order_one_avatar(postgres_url: str) -> None:
    """Over two gateways and two task services, and again after these were killed."""
    name = secrets.token_hex(8)
    order = {"roomId": name, "streamId": name, "lang": "en"}
    async with (
        running_cluster(replicas=2, database=postgres_url) as cluster,
        httpx.AsyncClient(timeout=60, trust_env=False) as http,
    ):
        gateways = itertools.cycle(cluster.gateways)

        async def create() -> dict[str, Any]:
            headers = {"Idempotency-Key": name}
            answer = await http.post(
                f"{next(gateways)}{API}/create-task", json=order, headers=headers
            )
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        first, *others = await asyncio.gather(*(create() for _ in range(CALLS)))
        assert first["state"] == "STREAMING"
        assert others == [first] * (CALLS - 1)
        for service in ("task-1", "task-2"):
            await cluster.kill(service)
            await cluster.start(service)
        again = await asyncio.gather(*(create() for _ in range(CALLS)))
        assert again == [first] * CALLS
        assert cluster.cloud.calls[CREATE] == 1
        assert [each["StreamId"] for each in await cluster.on_air()] == [name]
        stopped = await http.post(
            f"{next(gateways)}{API}/stop-task", json={"taskId": first["taskId"]}
        )
        assert stopped.json()["state"] == "STOPPED"
        assert await cluster.on_air() == []
