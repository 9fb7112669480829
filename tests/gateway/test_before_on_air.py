"""Clients that ask before the digital human is on air, with a real speech service behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from digitalhuman.task.v1 import task_pb2
from tests.support.gateway_rig import RunningGateway, read_events
from tests.support.sockets import calling, gateway_before
from tests.support.speech_rig import Script, SpeechRig, speech_rig

API = "/api/digital-human"
TASK = "task_early"
ASKED: dict[str, Any] = {"taskId": TASK, "text": "When?"}
SAID: dict[str, Any] = {"taskId": TASK, "text": "Welcome."}


@asynccontextmanager
async def starting(*, task_start_s: float = 60.0) -> AsyncIterator[tuple[SpeechRig, str]]:
    async with speech_rig(Script(task_start_s=task_start_s)) as rig, gateway_before(rig) as url:
        rig.tasks.add(TASK, state=task_pb2.TASK_STATE_STARTING)
        yield rig, url


async def come_on_air(rig: SpeechRig) -> None:
    await rig.tasks.asked.wait()
    rig.tasks.tasks[TASK].state = task_pb2.TASK_STATE_STREAMING


@pytest.mark.parametrize(
    ("path", "body"), [("talk-to-ai", ASKED), ("say", SAID)], ids=["talk", "say"]
)
async def test_what_comes_early_is_heard_when_it_is_on_air(path: str, body: dict[str, Any]) -> None:
    async with (
        starting() as (rig, url),
        httpx.AsyncClient(base_url=f"http{url.removeprefix('ws')}", timeout=30) as client,
    ):
        answer, _ = await asyncio.gather(client.post(f"{API}/{path}", json=body), come_on_air(rig))
        assert (answer.status_code, answer.json()["interrupted"]) == (200, False)


async def test_a_stream_of_events_begins_when_it_is_on_air() -> None:
    async with (
        starting() as (rig, url),
        httpx.AsyncClient(base_url=f"http{url.removeprefix('ws')}", timeout=30) as client,
    ):
        coming = asyncio.create_task(come_on_air(rig))
        accept = {"accept": "text/event-stream"}
        asking = client.stream("POST", f"{API}/talk-to-ai", json=ASKED, headers=accept)
        async with asking as response:
            told = [each.name async for each in read_events(response)]
        await coming
        assert (told[0], told[-1]) == ("ready", "turn_finished")


async def test_a_line_opens_when_it_is_on_air() -> None:
    async with starting() as (rig, url), calling(url, taskId=TASK) as caller:
        await come_on_air(rig)
        await caller.until("ready")
        await caller.send(type="text", text="When?")
        assert (await caller.until("turn_finished"))["reply"]


async def test_one_that_does_not_come_on_air_says_when_to_ask_again() -> None:
    async with (
        starting(task_start_s=0.05) as (_, url),
        httpx.AsyncClient(base_url=f"http{url.removeprefix('ws')}", timeout=30) as client,
    ):
        answer = await client.post(f"{API}/talk-to-ai", json=ASKED)
        assert (answer.status_code, answer.json()["reason"]) == (409, "TASK_NOT_ON_AIR")
        assert int(answer.headers["retry-after"]) >= 1


async def test_a_gesture_without_an_avatar_says_when_to_ask_again(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.tasks.tasks[task_id].avatar_id = ""
    answer = await gateway.client.post(f"{API}/action", json={"taskId": task_id, "action": "nod"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "TASK_NOT_ON_AIR")
    assert int(answer.headers["retry-after"]) >= 1
