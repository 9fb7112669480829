"""Keys and tickets before a real task service: each tenant is served its own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from digitalhuman.access.v1 import access_pb2 as pb
from digitalhuman.access.v1.access_pb2_grpc import AccessServiceStub
from services.runtime.channels.channel import connected
from tests.support.access import Issuer, bearer
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import SERVICE_TOKEN
from tests.support.task import task_service

API = "/api/digital-human"
ORDER = {"roomId": "room", "streamId": "stream", "greeting": ""}


@pytest.fixture
async def issuers() -> AsyncIterator[tuple[RunningGateway, Issuer, Issuer]]:
    """A closed gateway before a task service, and what makes keys for two tenants."""
    async with (
        task_service(service_token=SERVICE_TOKEN) as tasks,
        running_gateway(is_closed=True, task_target=tasks) as gateway,
        connected(tasks) as channel,
    ):
        access = AccessServiceStub(channel)
        acme, zoo = (Issuer(access=access, tenant_id=each) for each in ("acme", "zoo"))
        yield gateway, acme, zoo


async def test_a_user_of_a_tenant_holds_a_call(
    issuers: tuple[RunningGateway, Issuer, Issuer],
) -> None:
    gateway, acme, zoo = issuers
    client = gateway.client
    ticket = bearer(await acme.ticket(user_id="ada"))
    made: dict[str, Any] = (
        await client.post(f"{API}/create-task", json=ORDER, headers=ticket)
    ).json()
    assert (made["roomId"], made["userId"]) == ("t__acme__room", "ada")
    again = await client.post(f"{API}/create-task", json=ORDER, headers=ticket)
    assert again.json()["taskId"] == made["taskId"]
    other = await client.post(
        f"{API}/create-task", json={**ORDER, "streamId": "other"}, headers=ticket
    )
    assert (other.status_code, other.json()["reason"]) == (409, "REQUEST_ID_REUSED")
    viewer = {"userId": "ada", "roomId": "room", "streamId": "stream"}
    assert (await client.get("/api/token", params=viewer, headers=ticket)).status_code == 200
    assert gateway.avatars.tokens[-1].room_id == "t__acme__room"

    foreign = await zoo.key(pb.ROLE_OPERATOR)
    path = f"{API}/tasks/{made['taskId']}"
    for method, where, body in (
        ("GET", path, None),
        ("GET", f"{path}/conversation", None),
        ("POST", f"{API}/stop-task", {"taskId": made["taskId"]}),
        ("POST", f"{API}/tickets", {"taskId": made["taskId"]}),
    ):
        answer = await client.request(method, where, json=body, headers=foreign)
        assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")
    # The same stream id is another stream in another tenant.
    own = await client.post(f"{API}/create-task", json=ORDER, headers=foreign)
    assert own.json()["streamId"] == "t__zoo__stream"
    assert (await client.get(path, headers=ticket)).json()["state"] != "STOPPED"
