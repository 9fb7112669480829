"""When a client is answered: early or at the end, as it prefers or as the deployment is set."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.contract.preferences import CreateAnswer, TalkAnswer, accepts, prefers_early
from tests.support.fake_tasks import TASK_ID
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import SENTENCES
from tests.support.loudness import voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer
from tests.support.sockets import gateway_before
from tests.support.speech_rig import Script, speech_rig

API = "/api/digital-human"
EARLY = {"prefer": "respond-async"}
WAIT = {"prefer": "wait=180"}
ROOM = {"roomId": "room_1", "streamId": "stream_1"}
WRITTEN: dict[str, Any] = {"json": {"taskId": TASK_ID, "text": "When?"}}
SPOKEN = {
    "params": {"taskId": TASK_ID},
    "content": voiced(1),
    "headers": {"content-type": "audio/pcm;rate=16000"},
}


@pytest.mark.parametrize(
    ("prefer", "early"),
    [
        (None, None),
        ([], None),
        ([""], None),
        (["respond-async"], True),
        (["Respond-Async; x=1"], True),
        (["return=minimal, respond-async , wait=10"], True),
        (["return=minimal", "respond-async"], True),
        (["wait=10"], False),
        (["WAIT"], False),
        (["handling=lenient"], None),
        (["not-respond-async"], None),
        (["x=respond-async"], None),
    ],
)
def test_what_a_client_prefers(prefer: list[str] | None, early: bool | None) -> None:
    assert prefers_early(prefer) is early


@pytest.mark.parametrize(
    ("accept", "is_named"),
    [
        ([], False),
        (["text/event-stream"], True),
        (["Text/Event-Stream; charset=utf-8"], True),
        (["application/json", "text/event-stream"], True),
        (["application/json, text/event-stream;q=0.9"], True),
        (["application/json, text/event-stream; q=0.0"], False),
        (["text/*, */*"], False),
        (["x-text/event-stream, text/event-stream-x"], False),
    ],
)
def test_which_media_type_a_client_names(accept: list[str], is_named: bool) -> None:
    assert accepts("text/event-stream", accept) is is_named


def preferring(request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return request | {"headers": request.get("headers", {}) | headers}


@pytest.mark.parametrize(
    ("default", "headers", "status"),
    [
        (TalkAnswer.FINISHED, EARLY, 202),
        (TalkAnswer.PLAYING, {}, 200),
        (TalkAnswer.PLAYING, EARLY, 202),
    ],
)
@pytest.mark.parametrize("asked", [WRITTEN, SPOKEN], ids=["written", "spoken"])
async def test_a_question_may_be_answered_when_the_reply_begins(
    default: TalkAnswer, headers: dict[str, str], status: int, asked: dict[str, Any]
) -> None:
    chat = ScriptedChat(gate=asyncio.Event())
    async with (
        speech_rig(Script(chat=chat)) as rig,
        gateway_before(rig, talk_answer=default) as url,
        httpx.AsyncClient(base_url=f"http{url.removeprefix('ws')}", timeout=30) as client,
    ):
        # The reply cannot end before its last sentence is let go, so this is before its end.
        answer = await client.post(f"{API}/talk-to-ai", **preferring(asked, headers))
        assert answer.status_code == status
        assert answer.headers.get("preference-applied") == headers.get("prefer")
        turn = answer.json()
        assert turn["success"] is True
        assert turn["message"] == "AI interaction started"
        assert turn["turnId"] == 1
        assert turn["transcript"] == ("When?" if asked is WRITTEN else "hello there")
        assert turn["reply"] == "This is the answer to it. "
        assert not {"heard", "interrupted", "timings", "ledger"} & turn.keys()
        assert chat.gate
        chat.gate.set()
        async with asyncio.timeout(20):
            await rig.tasks.recorded("turn_finished")
        (ended,) = [each for each in rig.tasks.records[TASK_ID] if each.HasField("turn_finished")]
        assert not ended.turn_finished.interrupted


async def test_who_waits_is_answered_at_the_end_whatever_the_deployment_says() -> None:
    async with running_gateway(talk_answer=TalkAnswer.PLAYING) as gateway:
        task_id = await gateway.create()
        body = {"taskId": task_id, "text": "Hello?"}
        answer = await gateway.client.post(f"{API}/talk-to-ai", json=body, headers=WAIT)
        assert (answer.status_code, answer.json()["message"]) == (200, "AI interaction completed")
        assert answer.json()["heard"]


async def test_words_to_say_are_answered_by_the_same_rule(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    body = {"taskId": task_id, "text": "Welcome."}
    answer = await gateway.client.post(f"{API}/say", json=body, headers=EARLY)
    assert (answer.status_code, answer.json()["reply"]) == (202, SENTENCES[0])
    assert "transcript" not in answer.json()


FAILURES: list[tuple[Script, dict[str, Any], str]] = [
    (Script(chat=ScriptedChat(error=RuntimeError("down"), deltas=("",))), WRITTEN, "INTERNAL"),
    (Script(recognizer=ScriptedRecognizer(hypotheses=("",))), SPOKEN, "NO_SPEECH"),
]


@pytest.mark.parametrize(("script", "asked", "reason"), FAILURES, ids=["chat", "no-speech"])
async def test_a_turn_that_fails_before_it_is_heard_is_told_as_the_failure(
    script: Script, asked: dict[str, Any], reason: str
) -> None:
    async with (
        speech_rig(script) as rig,
        gateway_before(rig) as url,
        httpx.AsyncClient(base_url=f"http{url.removeprefix('ws')}", timeout=30) as client,
    ):
        answer = await client.post(f"{API}/talk-to-ai", **preferring(asked, EARLY))
        assert answer.status_code >= 400
        assert answer.json()["reason"] == reason


async def test_the_answer_is_of_the_callers_own_turn() -> None:
    chat = ScriptedChat(gate=asyncio.Event())
    async with (
        speech_rig(Script(chat=chat)) as rig,
        gateway_before(rig) as url,
        httpx.AsyncClient(base_url=f"http{url.removeprefix('ws')}", timeout=30) as client,
    ):
        answering = asyncio.create_task(client.post(f"{API}/talk-to-ai", **WRITTEN))
        await rig.avatars.first_pcm.wait()
        waits = {"taskId": TASK_ID, "text": "Then this."}
        saying = asyncio.create_task(client.post(f"{API}/say", json=waits, headers=EARLY))
        assert chat.gate
        chat.gate.set()
        assert (await answering).json()["turnId"] == 1
        said = (await saying).json()
        assert (said["turnId"], said["reply"]) == (2, "Then this.")


@pytest.mark.parametrize(
    ("default", "headers", "status"),
    [(CreateAnswer.ON_AIR, EARLY, 202), (CreateAnswer.ACCEPTED, {}, 200)],
)
async def test_a_task_may_be_answered_before_it_is_on_air(
    default: CreateAnswer, headers: dict[str, str], status: int
) -> None:
    async with running_gateway(create_answer=default) as gateway:
        gateway.script.is_on_air_at_once = False
        answer = await gateway.client.post(f"{API}/create-task", json=ROOM, headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (status, "STARTING")
        found = await gateway.client.get(answer.headers["location"])
        assert found.json()["taskId"] == answer.json()["taskId"]
        assert not gateway.tasks.stops


async def test_who_waits_for_the_avatar_gets_it_on_air() -> None:
    async with running_gateway(create_answer=CreateAnswer.ACCEPTED) as gateway:
        answer = await gateway.client.post(f"{API}/create-task", json=ROOM, headers=WAIT)
        assert (answer.status_code, answer.json()["state"]) == (200, "STREAMING")
