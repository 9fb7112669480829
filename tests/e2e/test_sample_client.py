"""The vendor's sample client runs unchanged: its sequence of calls gets the shapes it reads."""

import httpx
import pytest

from tests.support.stack import Stack

API = "/api/digital-human"


@pytest.mark.timeout(240)
async def test_the_samples_sequence(http: httpx.AsyncClient, names: dict[str, str]) -> None:
    created = (await http.post(f"{API}/create-task", json=names)).raise_for_status().json()
    assert created["success"] is True
    task_id = created["taskId"]
    assert isinstance(task_id, str)

    viewer = (await http.get("/api/token", params={"userId": "viewer-1"})).raise_for_status().json()
    assert viewer["success"] is True
    assert viewer["token"].count(".") == 2  # A JWT, which the engine reads.

    talked = await http.post(f"{API}/talk-to-ai", json={"taskId": task_id})
    told = talked.raise_for_status().json()
    assert told["success"] is True
    assert isinstance(told["message"], str)
    assert told["transcript"]
    assert told["reply"]

    for _ in range(2):
        stopped = await http.post(f"{API}/stop-task", json={"taskId": task_id})
        answer = stopped.raise_for_status().json()
        assert answer["success"] is True
        assert isinstance(answer["message"], str)

    late = await http.post(f"{API}/talk-to-ai", json={"taskId": task_id})
    assert (late.status_code, late.json()["reason"]) == (400, "TASK_ENDED")
    assert late.json()["success"] is False
    assert isinstance(late.json()["error"], str)


@pytest.mark.timeout(120)
async def test_a_client_that_knows_no_greeting_is_greeted_once_on_air(
    http: httpx.AsyncClient, names: dict[str, str]
) -> None:
    order = {name: value for name, value in names.items() if name != "greeting"}
    created = (await http.post(f"{API}/create-task", json=order)).raise_for_status().json()
    path = f"{API}/tasks/{created['taskId']}"
    async with http.stream("GET", f"{path}/events", params={"after": 0}) as response:
        async for line in response.aiter_lines():
            if line == "event: turn_finished":
                break
    [greeting] = (await http.get(f"{path}/conversation")).json()["turns"]
    assert greeting["origin"] == "GREETING"
    assert greeting["heard"] == greeting["reply"] != ""
    (await http.post(f"{API}/stop-task", json={"taskId": created["taskId"]})).raise_for_status()


async def test_a_repeated_create_gives_the_same_task(
    http: httpx.AsyncClient, names: dict[str, str]
) -> None:
    headers = {"Idempotency-Key": f"create {names['roomId']}"}
    answers = [
        (await http.post(f"{API}/create-task", json=names, headers=headers)).raise_for_status()
        for _ in range(2)
    ]
    first, second = (answer.json()["taskId"] for answer in answers)
    assert first == second
    (await http.post(f"{API}/stop-task", json={"taskId": first})).raise_for_status()


async def test_without_a_key_nothing_is_told(stack: Stack, names: dict[str, str]) -> None:
    async with httpx.AsyncClient(
        base_url=stack.gateway_url, timeout=60, trust_env=False
    ) as stranger:
        for path in ("create-task", "talk-to-ai", "stop-task"):
            refused = await stranger.post(f"{API}/{path}", json=names)
            assert (refused.status_code, refused.json()["reason"]) == (401, "CREDENTIALS_INVALID")
        assert (await stranger.get("/api/token", params={"userId": "u"})).status_code == 401
        assert (await stranger.get("/livez")).status_code == 200
