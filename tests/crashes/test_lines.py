"""Speech processes and the engine are killed, stopped or restarted while clients are on the line.

The line outlives a speech process; with the engine its task ends. What was told is on record.
"""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.compose import LOOPBACK, Service, free_ports
from tests.support.scripted_speech import ENDLESS_QUESTION, REPLY
from tests.support.sockets import Caller, calling
from tests.support.stack import Stack, running_stack

REPLICAS = ("speech-1", "speech-2")
TALKERS = 6
OVER = ("turn_finished", "turn_failed")

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    """A gateway before two speech processes; whoever kills one starts it again."""
    ports = free_ports(len(REPLICAS))
    addresses = [f"{LOOPBACK}:{port}" for port in ports]
    env = {
        "task": {"TASK_SWEEP_INTERVAL_S": "1"},
        "gateway": {"GATEWAY_SPEECH_TARGET": ",".join(addresses)},
    }
    running = running_stack(processes=("engine", "avatar", "task"), env=env, has_tls=False)
    async with running as up:
        for name, port, address in zip(REPLICAS, ports, addresses, strict=True):
            environment = {
                "SPEECH_PORT": port,
                "SPEECH_TASK_TARGET": up.target("task"),
                "SPEECH_AVATAR_TARGET": up.target("avatar"),
                "SPEECH_DEFAULT_PERSONA": "host",
                "PARLEY_SERVICE_TOKEN": up.service_token,
            }
            words = (sys.executable, "-m", "tests.support.scripted_speech")
            up.add(Service(name=name, words=words, environment=environment, probe=address))
        await asyncio.gather(*(up.start([name]) for name in REPLICAS))
        await up.start(["gateway"])
        yield up


@asynccontextmanager
async def on_the_line(stack: Stack) -> AsyncIterator[tuple[Caller, str]]:
    """A client of a new task, and the name of the process that holds its conversation."""
    key = {"X-Api-Key": stack.api_key}
    async with httpx.AsyncClient(
        base_url=stack.gateway_url, headers=key, timeout=60, trust_env=False
    ) as http:
        name = secrets.token_hex(8)
        order = {"roomId": f"room-{name}", "streamId": f"stream-{name}", "greeting": ""}
        created = await http.post("/api/digital-human/create-task", json=order)
        task = {"taskId": created.raise_for_status().json()["taskId"]}
        async with another_line(stack, task["taskId"]) as caller:
            await caller.until("ready")
            yield caller, await owner_of(stack, task["taskId"])
        (await http.post("/api/digital-human/stop-task", json=task)).raise_for_status()


@asynccontextmanager
async def another_line(
    stack: Stack, task_id: str, *, after: int | None = None
) -> AsyncIterator[Caller]:
    """A client of a task."""
    url = stack.gateway_url.replace("http", "ws", 1)
    key = {"X-Api-Key": stack.api_key}
    async with calling(url, headers=key, taskId=task_id, after=after) as caller:
        yield caller


async def owner_of(stack: Stack, task_id: str, *, after: str = "") -> str:
    """Return the name of the process that says that it opened a task's conversation.

    `after` is the one that had it before.
    """
    async with asyncio.timeout(30):
        while True:
            for name in set(REPLICAS) - {after}:
                opened = (line for line in stack.logs[name] if "conversation opened" in line)
                if any(task_id in line for line in opened):
                    return name
            await asyncio.sleep(0.05)


async def check_record(stack: Stack, caller: Caller) -> None:
    """Check that the client was told everything once, and as it is on record."""
    sequences = [each["sequence"] for each in caller.events]
    assert sequences == [*range(1, len(sequences) + 1)]
    async with another_line(stack, caller.ready["taskId"], after=0) as other:
        while len(other.events) < len(caller.events):
            assert await other.read() is not None
    assert moments(other) == moments(caller)


async def test_a_line_outlives_the_process_that_speaks(stack: Stack) -> None:
    async with on_the_line(stack) as (caller, owner):
        await caller.send(type="text", text=ENDLESS_QUESTION)
        await caller.until("playback_started")
        await asyncio.sleep(0.7)  # Some words long.
        await stack.kill(owner)
        # Nobody has told the client yet: this one goes into the break.
        await caller.send(type="text", text="And then?")
        failed = await caller.until("turn_failed")
        assert failed["problem"]["reason"] == "TURN_ABANDONED"
        assert failed["reply"] == REPLY[0]
        # The avatar was cut off with its speaker, and told the next one how far it had come.
        heard = failed["heard"].split()
        assert heard
        assert heard == REPLY[0].split()[: len(heard)]
        assert (await caller.until("turn_started"))["transcript"] == "And then?"
        assert (await caller.until("turn_finished"))["reply"] == "".join(REPLY)
        await check_record(stack, caller)
        kinds = [each["event"] for each in caller.events]
        assert (kinds.count("turn_started"), kinds.count("turn_failed")) == (2, 1)
    await stack.restart(owner)


async def test_a_process_that_was_stopped_neither_writes_nor_speaks_when_it_goes_on(
    stack: Stack,
) -> None:
    async with on_the_line(stack) as (caller, owner):
        await caller.send(type="text", text=ENDLESS_QUESTION)
        await caller.until("playback_started")
        os.kill(stack.pid(owner), signal.SIGSTOP)
        await caller.send(type="text", text="And then?")
        failed = await caller.until("turn_failed")
        assert failed["problem"]["reason"] == "TURN_ABANDONED"
        await caller.until("turn_finished")
        await owner_of(stack, caller.ready["taskId"], after=owner)
        await caller.send(type="text", text=ENDLESS_QUESTION)
        await caller.until("playback_started")
        os.kill(stack.pid(owner), signal.SIGCONT)
        async with asyncio.timeout(30):
            await until_said(stack, owner, "conversation lost")
        await asyncio.sleep(0.7)  # Some words long.
        # The reply of the present owner was not cut off.
        await caller.send(type="interrupt")
        finished = await caller.until("turn_finished")
        assert finished["heard"]
        await check_record(stack, caller)


async def test_a_line_outlives_a_rolling_restart(stack: Stack) -> None:
    async with on_the_line(stack) as (caller, _):
        for name in REPLICAS:
            await caller.send(type="text", text="What is next?")
            await caller.until("playback_started")
            restarting = asyncio.create_task(stack.restart(name))
            finished = await caller.until("turn_finished")
            assert finished["reply"] == finished["heard"] == "".join(REPLY)
            await restarting
        await caller.send(type="text", text="Is that all?")
        await caller.until("turn_finished")
        await check_record(stack, caller)
        kinds = [each["event"] for each in caller.events]
        assert (kinds.count("turn_started"), kinds.count("turn_finished")) == (3, 3)
        assert "turn_failed" not in kinds


async def until_said(stack: Stack, name: str, words: str) -> None:
    """Wait until a process has logged some words."""
    while True:
        if any(words in line for line in stack.logs[name]):
            return
        await asyncio.sleep(0.05)


def moments(caller: Caller) -> list[tuple[int, str, str]]:
    """Return what was told of, and when it happened."""
    return [(each["sequence"], each["event"], each["data"]["time"]) for each in caller.events]


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
