"""The port at which a process shows its metrics."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.runtime.telemetry import metrics_served
from tests.support.compose import LOOPBACK, free_ports


async def test_metrics_are_served_while_the_block_is_open() -> None:
    [port] = free_ports(1)
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as prometheus:
        async with metrics_served(LOOPBACK, int(port)):
            answer = await prometheus.get("/metrics")
            names = {each.name for each in text_string_to_metric_families(answer.text)}
            assert "parley_rpcs" in names
        with pytest.raises(httpx.ConnectError):
            await prometheus.get("/metrics")
