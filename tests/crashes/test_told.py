"""The engine goes away while turns run: what clients were told is on record."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.compose import LOOPBACK, Service, free_ports
from tests.support.sockets import Caller, calling
from tests.support.stack import Stack, running_stack

TALKERS = 6
OVER = ("turn_finished", "turn_failed")

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    """All processes, with a scripted speech service."""
    [port] = free_ports(1)
    address = f"{LOOPBACK}:{port}"
    env = {"task": {"TASK_SWEEP_INTERVAL_S": "1"}, "gateway": {"GATEWAY_SPEECH_TARGET": address}}
    async with running_stack(processes=("engine", "avatar", "task"), env=env) as up:
        environment = {
            "SPEECH_PORT": port,
            "SPEECH_TASK_TARGET": up.target("task"),
            "SPEECH_AVATAR_TARGET": up.target("avatar"),
            "SPEECH_DEFAULT_PERSONA": "host",
            "PARLEY_SERVICE_TOKEN": up.service_token,
        }
        words = (sys.executable, "-m", "tests.support.scripted_speech")
        up.add(Service(name="speech", words=words, environment=environment, probe=address))
        await up.start(["speech", "gateway"])
        yield up


async def talk_on(caller: Caller, told: list[int]) -> None:
    """Ask, cut off and ask again until the line ends; note the turns that are said to be over."""
    await caller.send(type="text", text="Why?")
    while (message := await caller.read()) is not None:
        if message.get("event") in OVER:
            told.append(message["data"]["turnId"])
            await caller.send(type="text", text="And why that?")
        elif message.get("event") == "playback_started" and len(told) % 2:
            await caller.send(type="interrupt")


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_turns_that_are_told_to_be_over_are_on_record(stack: Stack, how: str) -> None:
    key = {"X-Api-Key": stack.api_key}
    url = stack.gateway_url.replace("http", "ws", 1)
    async with AsyncExitStack() as life:
        http = await life.enter_async_context(
            httpx.AsyncClient(
                base_url=f"{stack.gateway_url}/api/digital-human",
                headers=key,
                timeout=60,
                trust_env=False,
            )
        )
        told: dict[str, list[int]] = {}
        talking = []
        for _ in range(TALKERS):
            name = secrets.token_hex(8)
            ids = {"roomId": f"room-{name}", "streamId": f"stream-{name}", "greeting": ""}
            created = await http.post("/create-task", json=ids)
            task_id = created.raise_for_status().json()["taskId"]
            caller = await life.enter_async_context(calling(url, headers=key, taskId=task_id))
            talking.append(asyncio.create_task(talk_on(caller, told.setdefault(task_id, []))))
        while not all(len(turns) > 1 for turns in told.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await (stack.kill if how == "kill" else stack.stop)("engine")
        await stack.restart("engine")
        # The tasks are over with it, and so are the lines.
        await asyncio.gather(*talking)
        for task_id, turns in told.items():
            recorded = (await http.get(f"/tasks/{task_id}/conversation")).json()["turns"]
            assert set(turns) <= {each["turnId"] for each in recorded if is_over(each)}


def is_over(turn: dict[str, Any]) -> bool:
    """Whether a recorded turn has its end."""
    return "finishTime" in turn
