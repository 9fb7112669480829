"""The port at which a process shows its metrics."""

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.runtime.serving.server import ServingOptions, serving
from services.runtime.telemetry.metrics import metrics_served
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


async def test_metrics_are_shown_to_this_machine_alone_unless_asked_for() -> None:
    [port] = free_ports(1)
    options = ServingOptions(host="0.0.0.0", port=0, metrics_port=int(port))
    async with serving(options, [], lambda server: None):
        listening = [
            each.laddr
            for each in psutil.Process().net_connections("tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr.port == int(port)
        ]
    assert [each.ip for each in listening] == [LOOPBACK]
