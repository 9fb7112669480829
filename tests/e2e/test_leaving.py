"""What real processes do when clients leave, and when they do not want to wait."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

API = "/api/digital-human"
WORDS = "We open at nine in the morning. We close at six in the evening. You are welcome."

pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def watching(http: httpx.AsyncClient, task_id: str) -> AsyncIterator[AsyncIterator[Any]]:
    """The events of a task from now on, as names and data."""
    async with http.stream("GET", f"{API}/tasks/{task_id}/events") as response:
        assert response.status_code == 200

        async def told() -> AsyncIterator[tuple[str, dict[str, Any]]]:
            name = ""
            async for line in response.aiter_lines():
                kind, _, text = line.partition(": ")
                if kind == "event":
                    name = text
                elif kind == "data":
                    yield name, json.loads(text)

        events = told()
        assert (await anext(events))[0] == "snapshot"
        yield events


async def until(events: AsyncIterator[Any], name: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        async for told, data in events:
            if told == name:
                return dict(data)
    raise AssertionError(f"no {name}")


@pytest.mark.parametrize(
    ("members", "headers", "interrupted"),
    [
        ({}, {}, False),
        ({}, {"accept": "text/event-stream"}, False),
        ({"cutOnLeave": True}, {}, True),
    ],
    ids=["answer", "events", "cut"],
)
async def test_a_client_leaves_while_it_is_spoken_to(
    http: httpx.AsyncClient,
    task_id: str,
    members: dict[str, Any],
    headers: dict[str, str],
    interrupted: bool,
) -> None:
    async with watching(http, task_id) as events:
        leaver = httpx.AsyncClient(
            base_url=http.base_url,
            headers=dict(http.headers) | headers,
            timeout=http.timeout,
            trust_env=False,
        )
        body = {"taskId": task_id, "text": WORDS, **members}
        saying = asyncio.create_task(leaver.post(f"{API}/say", json=body))
        await until(events, "playback_started")
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        await leaver.aclose()
        finished = await until(events, "turn_finished")
    assert finished["interrupted"] is interrupted
    assert (finished["heard"] == WORDS) is not interrupted


async def test_a_client_that_does_not_wait_is_answered_when_it_begins(
    http: httpx.AsyncClient, names: dict[str, str]
) -> None:
    early = {"prefer": "respond-async"}
    created = await http.post(f"{API}/create-task", json=names, headers=early)
    assert created.status_code == 202
    task_id = created.json()["taskId"]
    async with http.stream("GET", f"{API}/tasks/{task_id}/events", params={"after": 0}) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: ") and '"state": "STREAMING"' in line:
                break
    async with watching(http, task_id) as events:
        body = {"taskId": task_id, "text": WORDS}
        said = await http.post(f"{API}/say", json=body, headers=early)
        assert said.status_code == 202
        assert said.json()["turnId"] == 1
        finished = await until(events, "turn_finished")
    assert finished["heard"] == WORDS
    (await http.post(f"{API}/stop-task", json={"taskId": task_id})).raise_for_status()
