"""The vendor's own sample clients, call by call: what they send and read, how long they wait.

They are the web page and the apps for Android and iOS of its example of an interactive chat.
Nothing is changed in them but the address of the backend.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from digitalhuman.task.v1 import task_pb2
from gateway.contract.preferences import CreateAnswer, TalkAnswer
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import SAMPLE_QUESTIONS, SENTENCES

API = "/api/digital-human"
PAGE = "http://localhost:5173"
EMULATOR = "10.0.2.2"
PORT = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a sample sends with every call, and beside the room and the stream when it creates."""

    headers: Mapping[str, str]
    body_headers: Mapping[str, str]
    names: Mapping[str, str]
    more: Mapping[str, Any] = field(default_factory=dict)
    has_type_without_body: bool = False


WEB = Sample(
    headers={
        "host": f"localhost:{PORT}",
        "origin": PAGE,
        "referer": f"{PAGE}/",
        "accept": "*/*",
        "sec-fetch-mode": "cors",
        "sec-fetch-site": "same-site",
    },
    body_headers={"content-type": "application/json"},
    names={"userId": "user_1769860809123", "roomId": "room_1769860809123", "streamId": "stream_1"},
)
ANDROID = Sample(
    headers={
        "host": f"{EMULATOR}:{PORT}",
        "connection": "Keep-Alive",
        "accept-encoding": "gzip",
        "user-agent": "okhttp/4.12.0",
    },
    # OkHttp adds the character set to a body that is made from text.
    body_headers={"content-type": "application/json; charset=utf-8"},
    names={
        "userId": "user_demo_android_860809",
        "roomId": "room_demo_android_860809",
        "streamId": "stream_demo_android_860809",
    },
    # Sent by a version of it that renders the face on the phone.
    more={"outputMode": 2},
)
IOS = Sample(
    headers={
        "host": f"localhost:{PORT}",
        "accept": "*/*",
        "accept-language": "en-US,en;q=0.9",
        "accept-encoding": "gzip, deflate",
        "user-agent": "ZegoDigitalHumanQuickStart/1 CFNetwork/1568 Darwin/24.0",
    },
    body_headers={"content-type": "application/json"},
    names={
        "userId": "user_demo_ios_860809",
        "roomId": "room_demo_ios_860809",
        "streamId": "stream_demo_ios_860809",
    },
    has_type_without_body=True,
)
SAMPLES = {"web": WEB, "android": ANDROID, "ios": IOS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A sample that calls a gateway."""

    sample: Sample
    client: httpx.AsyncClient

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """POST as the sample does."""
        headers = {**self.sample.headers, **self.sample.body_headers}
        return await self.client.post(f"{API}/{path}", json=body, headers=headers)

    async def create(self) -> httpx.Response:
        """Ask for a digital human."""
        names = {name: self.sample.names[name] for name in ("roomId", "streamId")}
        return await self.post("create-task", {**names, **self.sample.more})

    async def token(self) -> httpx.Response:
        """Ask for a token to enter the room with."""
        headers = dict(self.sample.headers)
        if self.sample.has_type_without_body:
            headers |= self.sample.body_headers
        user = f"userId={self.sample.names['userId']}"
        return await self.client.get(f"/api/token?{user}", headers=headers)

    async def talk(self, task_id: str, lang: str) -> httpx.Response:
        """Pretend to have spoken."""
        return await self.post("talk-to-ai", {"taskId": task_id, "lang": lang})


@pytest.fixture
async def emulated() -> AsyncIterator[RunningGateway]:
    """An open gateway that Android's emulator may call, as docs/http-api.md says."""
    async with running_gateway(hosts=frozenset({EMULATOR})) as running:
        yield running


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_call_from_its_beginning_to_its_end(emulated: RunningGateway, name: str) -> None:
    caller = Caller(sample=SAMPLES[name], client=emulated.client)
    created = await caller.create()
    assert created.status_code == 200, created.text
    assert created.json()["success"] is True
    task_id = created.json()["taskId"]
    assert isinstance(task_id, str)
    # The samples enter the room and play the stream of their own names.
    for member in ("roomId", "streamId"):
        assert created.json()[member] == caller.sample.names[member]

    token = await caller.token()
    assert (token.status_code, token.json()["success"]) == (200, True)
    assert token.json()["token"] == "04token"

    for lang in ("zh", "en"):
        talked = await caller.talk(task_id, lang)
        assert talked.status_code == 200, talked.text
        assert talked.json()["success"] is True
        assert talked.json()["message"] == "AI interaction completed"
    assert emulated.speech.texts == [SAMPLE_QUESTIONS["zh"], SAMPLE_QUESTIONS["en"]]

    for _ in range(2):
        stopped = await caller.post("stop-task", {"taskId": task_id})
        assert (stopped.status_code, stopped.json()["success"]) == (200, True)
        assert stopped.json()["state"] == "STOPPED"


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_failure_is_told_in_the_members_that_they_show(
    emulated: RunningGateway, name: str
) -> None:
    caller = Caller(sample=SAMPLES[name], client=emulated.client)
    for answer in (
        await caller.post("create-task", {"streamId": "stream_1"}),
        await caller.post("talk-to-ai", {"lang": "en"}),
        await caller.post("stop-task", {}),
    ):
        assert answer.status_code == 400
        assert answer.json()["success"] is False
        assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("path", ["create-task", "talk-to-ai", "stop-task"])
async def test_the_page_may_call_from_its_own_origin(gateway: RunningGateway, path: str) -> None:
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    allowed = await gateway.client.options(f"{API}/{path}", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] in ("*", PAGE)
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "content-type" in allowed.headers["access-control-allow-headers"].lower()
    answer = await Caller(sample=WEB, client=gateway.client).post(path, {})
    # Without it the page could not even read why it failed.
    assert answer.headers["access-control-allow-origin"] in ("*", PAGE)


async def test_the_page_may_read_a_token(gateway: RunningGateway) -> None:
    answer = await Caller(sample=WEB, client=gateway.client).token()
    assert answer.headers["access-control-allow-origin"] in ("*", PAGE)


async def test_the_emulators_name_must_be_allowed(gateway: RunningGateway) -> None:
    answer = await Caller(sample=ANDROID, client=gateway.client).create()
    assert answer.status_code == 403
    assert not gateway.tasks.creates


async def test_a_phone_that_waits_ten_seconds_is_answered_before_it_is_over() -> None:
    """OkHttp gives up after ten seconds without an answer; a start or a reply may take longer."""
    async with running_gateway(
        hosts=frozenset({EMULATOR}),
        create_answer=CreateAnswer.ACCEPTED,
        talk_answer=TalkAnswer.PLAYING,
    ) as gateway:
        gateway.script.is_on_air_at_once = False
        gateway.script.hold_reply = asyncio.Event()
        caller = Caller(sample=ANDROID, client=gateway.client)
        created = await caller.create()
        # The sample takes 200 alone for success.
        assert (created.status_code, created.json()["state"]) == (200, "STARTING")
        task_id = created.json()["taskId"]
        assert (await caller.token()).status_code == 200

        asking = asyncio.create_task(caller.talk(task_id, "en"))
        await gateway.tasks.move(task_id, task_pb2.TASK_STATE_STREAMING)
        gateway.script.hold_reply.set()
        talked = await asking
        assert (talked.status_code, talked.json()["success"]) == (200, True)
        assert talked.json()["message"] == "AI interaction started"
        assert talked.json()["reply"] == SENTENCES[0]


@pytest.mark.parametrize("name", ["android", "ios"])
async def test_a_phone_that_gives_up_leaves_the_reply_to_the_others(
    emulated: RunningGateway, name: str
) -> None:
    """URLSession gives up after a minute: whoever watches the digital human still hears it out."""
    emulated.script.hold_reply = asyncio.Event()
    async with httpx.AsyncClient(base_url=emulated.url, timeout=30, trust_env=False) as phone:
        caller = Caller(sample=SAMPLES[name], client=phone)
        task_id = (await caller.create()).json()["taskId"]
        asking = asyncio.create_task(caller.talk(task_id, "en"))
        await emulated.speech.replying.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        emulated.script.hold_reply.set()
        again = await caller.talk(task_id, "en")
        assert again.json()["heard"]
        assert not emulated.speech.interrupts
        assert not emulated.tasks.stops
