"""One caller cannot take what all share: requests, streams, uploads, and wrong keys."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network

import httpx
import pytest

from gateway.middleware.concurrency import Ceiling
from gateway.server.limits import ConnectionLimits
from gateway.settings import GatewaySettings
from services.runtime.settings.environment import SettingsError, load
from tests.support.gateway_rig import RunningGateway, running_gateway

TALK = "/api/digital-human/talk-to-ai"
LIST = "/api/digital-human/tasks"
BEHIND_A_PROXY = ConnectionLimits(proxies=[ip_network("127.0.0.0/8")])
CALLBACK = {"Signature": "good", "TaskId": "avatar-9", "Status": 4}


def seen_from(address: str) -> dict[str, str]:
    return {"x-forwarded-for": address}


async def test_streams_of_one_caller_leave_room_for_others() -> None:
    ceilings = {"requests_at_once": Ceiling(per_caller=2, total=3)}
    async with running_gateway(ceilings=ceilings, limits=BEHIND_A_PROXY) as gateway:
        task_id = await gateway.create()
        events = f"/api/digital-human/tasks/{task_id}/events"
        ada, bob, cem = map(seen_from, ("192.0.2.1", "192.0.2.2", "192.0.2.3"))
        async with (
            gateway.client.stream("GET", events, headers=ada) as first,
            gateway.client.stream("GET", events, headers=ada),
        ):
            assert first.status_code == 200
            refused = await gateway.client.get(LIST, headers=ada)
            assert (refused.status_code, refused.json()["reason"]) == (429, "RATE_LIMITED")
            assert refused.headers["retry-after"] == "1"
            assert (await gateway.client.get(LIST, headers=bob)).status_code == 200
            async with gateway.client.stream("GET", events, headers=bob):
                assert (await gateway.client.get(LIST, headers=cem)).status_code == 429
                # Probes and the cloud are not kept out.
                assert (await gateway.client.get("/livez", headers=ada)).status_code == 200
                told = await gateway.client.post("/api/callbacks/zego", json=CALLBACK, headers=ada)
                assert told.status_code == 200
        await gateway.tasks.until(lambda tasks: tasks.watchers == 0)
        assert (await gateway.client.get(LIST, headers=ada)).status_code == 200


async def test_uploads_of_one_caller_are_few() -> None:
    async with running_gateway(uploads_at_once=Ceiling(per_caller=1, total=9)) as gateway:
        task_id = await gateway.create()
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"RIFF"
            begun.set()
            await go_on.wait()

        async def upload(content: bytes | AsyncIterator[bytes]) -> httpx.Response:
            return await gateway.client.post(
                TALK,
                params={"taskId": task_id},
                content=content,
                headers={"content-type": "audio/wav"},
            )

        uploading = asyncio.create_task(upload(body()))
        await begun.wait()
        # The first one is being read once the other is refused.
        async with asyncio.timeout(20):
            while (await upload(b"x")).status_code != 429:
                pass
        written = await gateway.client.post(TALK, json={"taskId": task_id, "text": "Hi"})
        assert written.status_code == 200
        go_on.set()
        assert (await uploading).json()["reason"] == "AUDIO_INVALID"
        assert (await upload(b"x")).status_code == 400


async def test_wrong_keys_are_throttled_and_right_ones_are_not() -> None:
    async with running_gateway(keys=("right-key",), limits=BEHIND_A_PROXY) as gateway:

        async def ask(key: str, address: str) -> int:
            headers = {"x-api-key": key} | seen_from(address)
            return (await gateway.client.get(LIST, headers=headers)).status_code

        statuses = [await ask("wrong", f"2001:db8::{at}") for at in range(60)]
        assert statuses[0] == 401
        assert 429 in statuses
        assert await ask("right-key", "2001:db8::1") == 200
        assert await ask("wrong", "2001:db8:0:1::1") == 401


async def test_an_address_is_believed_from_trusted_proxies_alone() -> None:
    async with running_gateway(requests_per_second=1) as gateway:
        statuses = [await ask_as(gateway, f"192.0.2.{at}") for at in range(20)]
        assert 429 in statuses
    async with running_gateway(requests_per_second=1, limits=BEHIND_A_PROXY) as gateway:
        assert {await ask_as(gateway, f"192.0.2.{at}") for at in range(20)} == {200}
        # What the client itself has written stands to the left.
        forged = [await ask_as(gateway, f"192.0.2.{at}, 198.51.100.1") for at in range(20)]
        assert 429 in forged


async def ask_as(gateway: RunningGateway, forwarded: str) -> int:
    return (await gateway.client.get(LIST, headers=seen_from(forwarded))).status_code


async def test_the_clouds_callbacks_have_a_lane_of_their_own() -> None:
    async with running_gateway(requests_per_second=1) as gateway:
        while (await gateway.client.get(LIST)).status_code != 429:
            pass
        assert (await gateway.client.post("/api/callbacks/zego", json=CALLBACK)).status_code == 200


@pytest.mark.parametrize("proxies", ["proxy.example", "10.0.0.1/8", "*", "10.0.0.0/99"])
def test_proxies_are_networks(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", proxies)
    with pytest.raises(SettingsError, match="GATEWAY_TRUSTED_PROXIES"):
        load(GatewaySettings)
