"""What a visitor's app gets when a vendor of the speech service fails: never a 500."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import httpx
import pytest
from pydantic import SecretStr

from services.speech.ports.stages import Stage
from services.speech.streams import Deadlines
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.openai_chat import OpenAiChatModel
from services.speech.vendors.openai_speech import OpenAiSynthesizer
from services.speech.vendors.openai_transcription import OpenAiRecognizer
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.loudness import voiced
from tests.support.speech_rig import Script, SpeechRig, speech_rig
from tests.support.vendor import Answer, scripted_vendor
from tests.support.vendor_answers import CHAT_FAILURES, REPLY, SSE, deltas, wav_file, words

TALK = "/api/digital-human/talk-to-ai"
PCM = {"content-type": "audio/pcm;rate=16000"}
SECRET = "sk-secret"

Reply: TypeAlias = tuple[int, str, bytes]


class Stand:
    """A gateway, the speech service with one stage at a scripted vendor, and a task on air."""

    def __init__(self, gateway: RunningGateway, rig: SpeechRig, task_id: str) -> None:
        self.rig = rig
        self._client = gateway.client
        self._task_id = task_id

    @classmethod
    @asynccontextmanager
    async def open(cls, stage: Stage, *replies: Reply) -> AsyncIterator["Stand"]:
        """A vendor that gives these replies, the last one ever again."""
        left = list(replies)

        async def behave(answer: Answer) -> None:
            await answer.whole(*(left.pop(0) if len(left) > 1 else left[0]))

        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            vendor = await enter(scripted_vendor(behave))
            endpoint = Endpoint(
                name="openai",
                base_url=vendor.base_url,
                api_key=SecretStr(SECRET),
                model="some-model",
                deadlines=Deadlines(first_s=30, next_s=30, total_s=60),
            )
            opened: Any = {
                Stage.CHAT: lambda: OpenAiChatModel.open(endpoint),
                Stage.SYNTHESIS: lambda: OpenAiSynthesizer.open(endpoint, voice_ids=["anna"]),
                Stage.RECOGNITION: lambda: OpenAiRecognizer.open(endpoint),
            }[stage]
            rig = await enter(speech_rig(Script(provider=await enter(opened()))))
            gateway = await enter(running_gateway(speech_target=rig.address))
            task_id = await gateway.create()
            rig.tasks.add(task_id)
            yield cls(gateway, rig, task_id)

    async def ask(self) -> httpx.Response:
        """Ask in writing."""
        return await self._client.post(TALK, json={"taskId": self._task_id, "text": "Why?"})

    async def speak(self) -> httpx.Response:
        """Ask aloud."""
        return await self._client.post(
            TALK, params={"taskId": self._task_id}, content=voiced(1), headers=PCM
        )


THROTTLED = "a code and a message"
"""Of the failures, the one that names a rate limit."""
FAILURES: list[Reply] = [
    *((200, *reply) for name, reply in CHAT_FAILURES.items() if name != THROTTLED),
    (500, "application/json", b'{"error": {"message": "sk-secret"}}'),
    (502, "text/html", b"<html>sk-secret</html>"),
]


async def test_a_chat_vendor_that_fails_is_an_outage_and_the_call_goes_on() -> None:
    async with Stand.open(Stage.CHAT, *FAILURES, (200, SSE, deltas(*words(REPLY)))) as stand:
        for _ in FAILURES:
            _assert_outage(await stand.ask(), Stage.CHAT, "CHAT_UNAVAILABLE")
        answered = await stand.ask()
        assert (answered.status_code, answered.json()["reply"]) == (200, REPLY)
        assert {each.ended_by for each in stand.rig.avatars.drives[:-1]} <= {"", "interrupt"}


async def test_a_rate_limit_is_told_apart_whatever_the_status() -> None:
    async with Stand.open(Stage.CHAT, (200, *CHAT_FAILURES[THROTTLED])) as stand:
        failed = await stand.ask()
        assert failed.status_code == 429
        assert failed.json()["reason"] == "PROVIDER_QUOTA_EXCEEDED"


@pytest.mark.parametrize("stage", Stage)
async def test_a_refusal_names_its_stage_for_the_operator(stage: Stage) -> None:
    refusals: list[Reply] = [
        (status, "application/json", b'{"error": {"message": "wrong key sk-secret"}}')
        for status in (400, 401, 403, 404, 413, 422)
    ]
    async with Stand.open(stage, *refusals) as stand:
        for _ in refusals:
            failed = await (stand.speak() if stage is Stage.RECOGNITION else stand.ask())
            _assert_outage(failed, stage, "PROVIDER_MISCONFIGURED")


@pytest.mark.parametrize("stage", Stage)
async def test_a_page_is_an_outage_of_any_stage(stage: Stage) -> None:
    reply = (200, "text/html", b"<html>Bad gateway sk-secret</html>")
    async with Stand.open(stage, reply) as stand:
        failed = await (stand.speak() if stage is Stage.RECOGNITION else stand.ask())
        _assert_outage(failed, stage, f"{stage.name}_UNAVAILABLE")


async def test_only_the_sound_of_a_file_is_played() -> None:
    pcm = b"\x01\x02" * 4_800
    async with Stand.open(Stage.SYNTHESIS, (200, "audio/pcm", wav_file(pcm))) as stand:
        answered = await stand.ask()
        assert answered.status_code == 200, answered.text
        [drive] = stand.rig.avatars.drives
        count, rest = divmod(len(drive.pcm), len(pcm))
        assert rest == 0
        assert bytes(drive.pcm) == pcm * count


def _assert_outage(failed: httpx.Response, stage: Stage, reason: str) -> None:
    assert failed.status_code == 503, failed.text
    problem = failed.json()
    assert problem["reason"] == reason
    assert problem["metadata"] == {"stage": stage.value, "provider": "openai"}
    assert SECRET not in failed.text
    assert "Retry-After" in failed.headers
