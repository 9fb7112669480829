"""When the cloud fails, the caller gets the mapped reason, the record is true, nothing hangs."""

import asyncio
from typing import Any

import httpx
import pytest

from engine.contract.codes import Code

API = "/api/digital-human"
CREATE = "CreateDigitalHumanStreamTask"
QUESTION = {"text": "Tell me a short story about a brave little robot."}

pytestmark = pytest.mark.timeout(240)

REFUSALS = [
    (Code.SYSTEM_BUSY, 503, "CLOUD_BUSY"),
    (Code.NO_RESOURCE, 503, "CLOUD_NO_CAPACITY"),
    (Code.CONCURRENCY_EXCEEDED, 429, "AVATAR_CAPACITY_EXCEEDED"),
    (Code.SIGNATURE_WRONG, 500, "CLOUD_CREDENTIALS_REJECTED"),
    (Code.APP_ID_UNKNOWN, 500, "CLOUD_CREDENTIALS_REJECTED"),
    (Code.SERVICE_NOT_ENABLED, 500, "CLOUD_NOT_ENABLED"),
    (Code.DIGITAL_HUMAN_NOT_FOUND, 404, "DIGITAL_HUMAN_NOT_FOUND"),
    (Code.CONFIGURATION_ERROR, 400, "DIGITAL_HUMAN_MISCONFIGURED"),
    (Code.RATE_LIMITED, 429, "CLOUD_RATE_LIMITED"),
]


async def switch_on(engine: httpx.AsyncClient, *faults: dict[str, Any]) -> None:
    (await engine.put("/faults", json={"faults": faults})).raise_for_status()


async def find(http: httpx.AsyncClient, stream_id: str) -> dict[str, Any]:
    """The one task of a stream."""
    tasks = (await http.get(f"{API}/tasks")).raise_for_status().json()["tasks"]
    (task,) = [each for each in tasks if each["streamId"] == stream_id]
    return dict(task)


async def ended(http: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    """A task when its watch has told that it is over."""
    async with http.stream("GET", f"{API}/tasks/{task_id}/events", params={"after": 0}) as events:
        async for _ in events.aiter_lines():
            continue
    return dict((await http.get(f"{API}/tasks/{task_id}")).raise_for_status().json())


@pytest.mark.parametrize(("code", "status", "reason"), REFUSALS)
async def test_a_refused_order(
    code: Code,
    status: int,
    reason: str,
    http: httpx.AsyncClient,
    engine: httpx.AsyncClient,
    names: dict[str, str],
) -> None:
    await switch_on(engine, {"kind": "refuse", "code": code, "action": CREATE})
    refused = await http.post(f"{API}/create-task", json=names)
    assert (refused.status_code, refused.json()["reason"]) == (status, reason)
    assert ("retry-after" in refused.headers) == (status in (429, 503))
    task = await find(http, names["streamId"])
    assert (task["state"], task["failure"]["reason"]) == ("FAILED", reason)

    await engine.delete("/faults")
    # That an account is full is believed for a moment.
    await asyncio.sleep(float(refused.headers.get("retry-after", 0)))
    again = (await http.post(f"{API}/create-task", json=names)).raise_for_status().json()
    assert again["state"] == "STREAMING"
    (await http.post(f"{API}/stop-task", json={"taskId": again["taskId"]})).raise_for_status()


async def test_clocks_that_differ(
    http: httpx.AsyncClient, engine: httpx.AsyncClient, names: dict[str, str]
) -> None:
    await switch_on(engine, {"kind": "clock_skew", "seconds": 1200})
    refused = await http.post(f"{API}/create-task", json=names)
    assert (refused.status_code, refused.json()["reason"]) == (500, "CLOUD_CLOCK_SKEW")
    assert (await find(http, names["streamId"]))["state"] == "FAILED"


@pytest.mark.parametrize("kind", ["http_500", "invalid_json"])
async def test_a_garbled_answer_once_is_got_over(
    kind: str, http: httpx.AsyncClient, engine: httpx.AsyncClient, names: dict[str, str]
) -> None:
    await switch_on(engine, {"kind": kind, "action": CREATE, "count": 1})
    created = await http.post(f"{API}/create-task", json=names)
    if created.status_code != 200:
        # The order may have been taken: the record says so until the cloud's list tells.
        assert created.json()["reason"] in ("CLOUD_ERROR", "CLOUD_UNREACHABLE")
    task = await find(http, names["streamId"])
    assert task["state"] in ("CREATING", "STARTING", "STREAMING", "FAILED")
    (await http.post(f"{API}/stop-task", json={"taskId": task["taskId"]})).raise_for_status()


async def test_a_slow_start_is_waited_for(
    http: httpx.AsyncClient, engine: httpx.AsyncClient, names: dict[str, str]
) -> None:
    await switch_on(engine, {"kind": "slow_init", "seconds": 3})
    created = (await http.post(f"{API}/create-task", json=names)).raise_for_status().json()
    assert created["state"] == "STREAMING"
    (await http.post(f"{API}/stop-task", json={"taskId": created["taskId"]})).raise_for_status()


async def test_a_failed_start_is_told(
    http: httpx.AsyncClient, engine: httpx.AsyncClient, names: dict[str, str]
) -> None:
    await switch_on(engine, {"kind": "init_failure", "reason": "no light in the studio"})
    failed = await http.post(f"{API}/create-task", json=names)
    assert (failed.status_code, failed.json()["reason"]) == (503, "AVATAR_START_FAILED")
    assert "studio" not in failed.text
    task = await find(http, names["streamId"])
    assert (task["state"], task["failure"]["reason"]) == ("FAILED", "AVATAR_START_FAILED")


async def test_a_socket_that_drops_ends_the_turn_and_not_the_task(
    http: httpx.AsyncClient, engine: httpx.AsyncClient, task_id: str
) -> None:
    await switch_on(engine, {"kind": "socket_drop", "after_ms": 500, "count": 1})
    lost = await http.post(f"{API}/talk-to-ai", json={"taskId": task_id, **QUESTION})
    assert (lost.status_code, lost.json()["reason"]) == (503, "DRIVE_LOST")
    held = (await http.get(f"{API}/tasks/{task_id}/conversation")).raise_for_status().json()
    assert held["turns"][0]["failure"]["reason"] == "DRIVE_LOST"

    said = await http.post(f"{API}/say", json={"taskId": task_id, "text": "Hello again."})
    assert said.raise_for_status().json()["heard"] == "Hello again."


@pytest.mark.parametrize("kind", ["callback_loss", "callback_duplicate", "callback_reorder"])
async def test_callbacks_are_only_hints(
    kind: str, http: httpx.AsyncClient, engine: httpx.AsyncClient, names: dict[str, str]
) -> None:
    await switch_on(engine, {"kind": kind})
    created = (await http.post(f"{API}/create-task", json=names)).raise_for_status().json()
    said = await http.post(
        f"{API}/say", json={"taskId": created["taskId"], "text": "Nobody told me."}
    )
    assert said.raise_for_status().json()["heard"] == "Nobody told me."
    (await http.post(f"{API}/stop-task", json={"taskId": created["taskId"]})).raise_for_status()
    assert (await ended(http, created["taskId"]))["stopReason"] == "REQUESTED"


async def test_a_stop_that_the_cloud_delays_is_finished_later(
    http: httpx.AsyncClient, engine: httpx.AsyncClient, names: dict[str, str]
) -> None:
    created = (await http.post(f"{API}/create-task", json=names)).raise_for_status().json()
    await switch_on(
        engine,
        {
            "kind": "refuse",
            "code": Code.SYSTEM_ERROR,
            "action": "StopDigitalHumanStreamTask",
            "count": 3,
        },
    )
    async with asyncio.timeout(150):
        stopped = await http.post(f"{API}/stop-task", json={"taskId": created["taskId"]})
        assert stopped.raise_for_status().json()["state"] in ("STOPPING", "STOPPED")
        task = await ended(http, created["taskId"])
    assert (task["state"], task["stopReason"]) == ("STOPPED", "REQUESTED")
