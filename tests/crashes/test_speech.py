"""A speech process that is killed while it speaks: the line to the client outlives it."""

import asyncio
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.compose import LOOPBACK, Service, free_ports
from tests.support.scripted_speech import ENDLESS_QUESTION, REPLY
from tests.support.sockets import Caller, calling
from tests.support.stack import Stack, running_stack

REPLICAS = ("speech-1", "speech-2")

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """A gateway before two speech processes, of which the first one is asked while it is there."""
    ports = free_ports(len(REPLICAS))
    addresses = [f"{LOOPBACK}:{port}" for port in ports]
    gateway = {"GATEWAY_SPEECH_TARGET": f"ipv4:{','.join(addresses)}"}
    async with running_stack(
        processes=("engine", "avatar", "task"), env={"gateway": gateway}
    ) as up:
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


async def test_a_line_outlives_the_process_that_speaks(stack: Stack) -> None:
    key = {"X-Api-Key": stack.api_key}
    async with httpx.AsyncClient(
        base_url=stack.gateway_url, headers=key, timeout=60, trust_env=False
    ) as http:
        created = await http.post(
            "/api/digital-human/create-task", json={"roomId": "room", "streamId": "stream"}
        )
        task_id = created.raise_for_status().json()["taskId"]
    url = stack.gateway_url.replace("http", "ws", 1)
    async with calling(url, headers=key, taskId=task_id) as caller:
        await caller.send(type="text", text=ENDLESS_QUESTION)
        await caller.until("playback_started")
        await asyncio.sleep(0.7)  # Some words long.
        await stack.kill("speech-1")
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
        # Another client is told the same, from the record.
        async with calling(url, headers=key, taskId=task_id, after=0) as other:
            while len(other.events) < len(caller.events):
                assert await other.read() is not None
    assert moments(other) == moments(caller)
    sequences = [each["sequence"] for each in caller.events]
    assert sequences == [*range(1, len(sequences) + 1)]
    kinds = [each["event"] for each in caller.events]
    assert (kinds.count("turn_started"), kinds.count("turn_failed")) == (2, 1)


def moments(caller: Caller) -> list[tuple[int, str, str]]:
    """Return what was told of, and when it happened."""
    return [(each["sequence"], each["event"], each["data"]["time"]) for each in caller.events]
