"""Clients that leave before their answer, with a real speech service behind the gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer
from tests.support.sockets import gateway_before
from tests.support.speech_rig import Script, SpeechRig, speech_rig

API = "/api/digital-human"
EVENTS = {"accept": "text/event-stream"}
REPLY = "This is the answer to it. And this is the second sentence."
WRITTEN = {"json": {"taskId": TASK_ID, "text": "When?"}}
SPOKEN = {
    "params": {"taskId": TASK_ID},
    "content": voiced(1),
    "headers": {"content-type": "audio/pcm;rate=16000"},
}
FORM = {
    "data": {"taskId": TASK_ID},
    "files": {"audio": ("q.pcm", voiced(1), "audio/pcm;rate=16000")},
}


def asking(request: dict[str, Any], *, cut: bool = False, live: bool = False) -> dict[str, Any]:
    """A request with `cutOnLeave` in the place where its kind has it."""
    made = dict(request)
    place = next(name for name in ("json", "data", "params") if name in made)
    if cut:
        made[place] = made[place] | {"cutOnLeave": True if place == "json" else "true"}
    if live:
        made["headers"] = made.get("headers", {}) | EVENTS
    return made


@asynccontextmanager
async def left(url: str, when: asyncio.Event, path: str, **request: Any) -> AsyncIterator[None]:
    """A client asked, and left when an event had come."""
    client = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
    posting = asyncio.create_task(client.post(f"{API}/{path}", **request))
    async with asyncio.timeout(20):
        waiting = asyncio.create_task(when.wait())
        await asyncio.wait({posting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert not posting.done(), posting.result().text
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    await client.aclose()
    yield


async def finished(rig: SpeechRig, *, count: int = 1) -> list[events_pb.TurnFinished]:
    """Every turn that ended, when there are so many."""
    async with asyncio.timeout(20):
        await rig.tasks.recorded("turn_finished", count=count)
    events = rig.tasks.records[TASK_ID]
    return [each.turn_finished for each in events if each.HasField("turn_finished")]


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[SpeechRig, str]]:
    async with speech_rig(script) as rig, gateway_before(rig) as url:
        yield rig, f"http{url.removeprefix('ws')}"


@pytest.mark.parametrize("live", [False, True], ids=["answer", "events"])
@pytest.mark.parametrize("asked", [WRITTEN, SPOKEN, FORM], ids=["json", "body", "form"])
async def test_a_reply_that_began_goes_on(asked: dict[str, Any], live: bool) -> None:
    chat = ScriptedChat(gate=asyncio.Event())
    async with serving(Script(chat=chat)) as (rig, url):
        request = asking(asked, live=live)
        async with left(url, rig.avatars.first_pcm, "talk-to-ai", **request):
            assert chat.gate
            chat.gate.set()
        (turn,) = await finished(rig)
        assert (turn.heard_text, turn.interrupted) == (REPLY, False)


@pytest.mark.parametrize("live", [False, True], ids=["answer", "events"])
@pytest.mark.parametrize("asked", [WRITTEN, SPOKEN, FORM], ids=["json", "body", "form"])
async def test_a_client_may_have_its_reply_cut_off(asked: dict[str, Any], live: bool) -> None:
    chat = ScriptedChat(gate=asyncio.Event())
    async with serving(Script(chat=chat)) as (rig, url):
        request = asking(asked, cut=True, live=live)
        async with left(url, rig.avatars.first_pcm, "talk-to-ai", **request):
            pass
        (turn,) = await finished(rig)
        assert turn.interrupted
        assert turn.heard_text != REPLY


async def test_a_question_is_answered_though_its_client_left_before_the_reply_began() -> None:
    recognizer = ScriptedRecognizer(gate=asyncio.Event())
    async with serving(Script(recognizer=recognizer)) as (rig, url):
        heard = asyncio.Event()
        async with speech_heard(rig, heard), left(url, heard, "talk-to-ai", **SPOKEN):
            assert recognizer.gate
            recognizer.gate.set()
        (turn,) = await finished(rig)
        assert (turn.heard_text, turn.interrupted) == (REPLY, False)


@asynccontextmanager
async def speech_heard(rig: SpeechRig, heard: asyncio.Event) -> AsyncIterator[None]:
    """Sets an event when the recognizer has an utterance."""

    async def watch() -> None:
        await rig.tasks.recorded("speech_ended")
        heard.set()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_words_to_say_can_be_cut_off_too() -> None:
    async with serving(Script()) as (rig, url):
        rig.avatars.plays_s = 0.5
        request = asking({"json": {"taskId": TASK_ID, "text": "Welcome to this house."}}, cut=True)
        async with left(url, rig.avatars.first_pcm, "say", **request):
            pass
        (turn,) = await finished(rig)
        assert turn.interrupted


async def test_leaving_cuts_off_no_turn_of_others() -> None:
    chat = ScriptedChat(gate=asyncio.Event())
    async with serving(Script(chat=chat)) as (rig, url):
        async with left(url, rig.avatars.first_pcm, "talk-to-ai", **asking(WRITTEN, cut=True)):
            pass
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as other:
            words = {"taskId": TASK_ID, "text": "By the way."}
            said = (await other.post(f"{API}/say", json=words)).json()
        assert (said["heard"], said["interrupted"]) == ("By the way.", False)
        cut, whole = await finished(rig, count=2)
        assert (cut.interrupted, whole.interrupted) == (True, False)
