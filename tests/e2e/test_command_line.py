"""The commands that people type to talk with what runs: talk, tasks."""

import os
import signal

import httpx
import pytest

from tests.support.command_line import environment, outcome, parley
from tests.support.stack import Stack

API = "/api/digital-human"


def connection(stack: Stack) -> list[str]:
    return ["--url", stack.gateway_url, "--api-key", stack.api_key]


@pytest.mark.timeout(240)
async def test_talk_shows_a_call_and_ends_it(stack: Stack, http: httpx.AsyncClient) -> None:
    code, text = await outcome(
        "talk", "--text", "Is there a parking lot near the museum entrance?",
        *connection(stack), env=environment(),
    )  # fmt: skip
    assert code == 0, text
    for word in ("You:", "Reply:", "Heard:", "avatar speaks", "Stopped."):
        assert word in text
    assert not await live_calls(http)


@pytest.mark.timeout(240)
async def test_talk_stops_its_task_when_interrupted(stack: Stack, http: httpx.AsyncClient) -> None:
    words = ["talk", "--text", "Tell me a long story.", *connection(stack)]
    async with parley(*words, env=environment()) as (process, said):
        await said.until("You:")
        os.kill(process.pid, signal.SIGINT)
        assert await process.wait() == 130, said.text
    assert not await live_calls(http)


@pytest.mark.timeout(240)
async def test_talk_stops_its_task_when_the_turn_fails(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    words = ["talk", "--text", "x" * 4001, *connection(stack)]
    code, text = await outcome(*words, env=environment())
    assert code == 1
    assert "INVALID_REQUEST" in text
    assert "text" in text
    assert not await live_calls(http)


async def test_a_wrong_key_is_said(stack: Stack) -> None:
    code, text = await outcome(
        "tasks", "list", "--url", stack.gateway_url, "--api-key", "wrong", env=environment()
    )
    assert code == 1
    assert "CREDENTIALS_INVALID" in text


async def test_tasks_are_listed_and_stopped(
    stack: Stack, http: httpx.AsyncClient, names: dict[str, str]
) -> None:
    created = (await http.post(f"{API}/create-task", json=names)).raise_for_status().json()
    code, text = await outcome("tasks", "list", *connection(stack), env=environment())
    assert code == 0
    assert created["taskId"] in text
    assert "STREAMING" in text
    code, text = await outcome("tasks", "stop", "--all", *connection(stack), env=environment())
    assert code == 0
    assert created["taskId"] in text
    assert names["roomId"] not in await live_rooms(http)
    code, text = await outcome("tasks", "stop", "task_none", *connection(stack), env=environment())
    assert code == 1
    assert "TASK_NOT_FOUND" in text


async def live_rooms(http: httpx.AsyncClient) -> set[str]:
    states = {"state": ["CREATING", "STARTING", "STREAMING"]}
    found = (await http.get(f"{API}/tasks", params=states)).raise_for_status().json()
    return {task["roomId"] for task in found["tasks"]}


async def live_calls(http: httpx.AsyncClient) -> set[str]:
    """Rooms of `parley talk` that are on air; other tests may have rooms of their own."""
    return {room for room in await live_rooms(http) if room.startswith("cli-")}
