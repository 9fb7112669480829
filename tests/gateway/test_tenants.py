"""The operator of a deployment names the tenant for which the gateway serves a request."""

from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from parley.gateway_client.answers import GatewayError
from parley.gateway_client.connection import gateway_at
from parley.gateway_client.stopping import stop_all
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import SERVICE_TOKEN
from tests.support.task import task_service

API = "/api/digital-human"
ACME = {"Parley-Tenant": "acme"}
ORDER = {"roomId": "room", "streamId": "stream"}


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    """A gateway in front of a real task service."""
    async with (
        task_service(service_token=SERVICE_TOKEN) as tasks,
        running_gateway(task_target=tasks) as running,
    ):
        yield running


async def create(gateway: RunningGateway, headers: dict[str, str]) -> dict[str, Any]:
    answer = await gateway.client.post(f"{API}/create-task", json=ORDER, headers=headers)
    body: dict[str, Any] = answer.json()
    assert answer.is_success, body
    return body


async def listed(url: str, tenant_id: str | None) -> list[str]:
    """Return the tasks that the command line lists."""
    async with gateway_at(url, None, tenant_id=tenant_id) as named:
        return [task["taskId"] for task in await named.list_tasks()]


async def test_a_request_is_served_for_the_named_tenant(gateway: RunningGateway) -> None:
    own, acmes = await create(gateway, {}), await create(gateway, ACME)
    assert (acmes["roomId"], acmes["streamId"]) == ("t__acme__room", "t__acme__stream")
    assert await listed(gateway.url, None) == await listed(gateway.url, "default")
    assert await listed(gateway.url, None) == [own["taskId"]]
    assert await listed(gateway.url, "acme") == [acmes["taskId"]]
    assert await listed(gateway.url, "zoo") == []


async def test_a_task_of_another_tenant_is_not_found(gateway: RunningGateway) -> None:
    acmes = await create(gateway, ACME)
    path = f"{API}/tasks/{acmes['taskId']}"
    assert (await gateway.client.get(path, headers=ACME)).status_code == 200
    for headers in ({}, {"Parley-Tenant": "zoo"}):
        answer = await gateway.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")


async def test_the_deployments_operator_stops_all_that_run(gateway: RunningGateway) -> None:
    own, acmes = await create(gateway, {}), await create(gateway, ACME)
    shown = StringIO()
    async with gateway_at(gateway.url, None) as named:
        found = await named.list_tasks(is_of_every_tenant=True)
        assert [each.get("tenantId") for each in found] == ["acme", None]
        await stop_all(named, Console(file=shown, width=400), is_of_every_tenant=True)
    stopped = sorted(f"{each['taskId']} stopped" for each in (own, acmes))
    assert sorted(shown.getvalue().splitlines()) == stopped


async def test_who_acts_for_a_tenant_does_not_list_all(gateway: RunningGateway) -> None:
    async with gateway_at(gateway.url, None, tenant_id="acme") as named:
        with pytest.raises(GatewayError) as refused:
            await named.list_tasks(is_of_every_tenant=True)
    assert refused.value.reason == "PERMISSION_DENIED"


@pytest.mark.parametrize("tenant_id", ["No Tenant", "-acme", "張", "a" * 64])
async def test_what_is_no_tenant_is_refused(gateway: RunningGateway, tenant_id: str) -> None:
    with pytest.raises(GatewayError, match="must be 1 to 63 of") as refused:
        await listed(gateway.url, tenant_id)
    assert refused.value.reason == "INVALID_REQUEST"
