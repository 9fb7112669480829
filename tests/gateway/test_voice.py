"""The voice alone, as the engine and other clients of OpenAI's speech API ask for it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from engine.contract.parameters import TtsConfig
from engine.sources.plugged_voice import plugged_voice
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from tests.support.scripted_providers import ScriptedSynthesizer
from tests.support.sockets import gateway_before
from tests.support.speech_rig import Script, speech_rig

PATH = "/api/v1/audio"
DOWN = ProviderError(Stage.SYNTHESIS, "scripted", "down", transient=True)


@pytest.fixture
def synthesizer() -> ScriptedSynthesizer:
    return ScriptedSynthesizer()


@pytest.fixture
async def client(synthesizer: ScriptedSynthesizer) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        speech_rig(Script(synthesizer=synthesizer)) as rig,
        gateway_before(rig) as url,
        httpx.AsyncClient(base_url=f"http{url.removeprefix('ws')}", timeout=30) as client,
    ):
        yield client


async def test_the_voices(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{PATH}/voices")).json()["voices"] == [
        {"id": "anna", "name": "Anna", "languages": ["en-US", "en-GB"]},
        {"id": "wei", "name": "Wei", "languages": ["zh"]},
    ]


@pytest.mark.parametrize(
    ("members", "voice", "text"),
    [({}, "anna", "Hello there."), ({"voice": "wei", "input": "你好。"}, "wei", "你好。")],
)
async def test_a_text_is_spoken(
    client: httpx.AsyncClient,
    synthesizer: ScriptedSynthesizer,
    members: dict[str, str],
    voice: str,
    text: str,
) -> None:
    asked = {"model": "tts-1", "input": "Hello there.", "response_format": "pcm", **members}
    answer = await client.post(f"{PATH}/speech", json=asked)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/pcm;rate=24000;channels=1"
    assert len(answer.content) == 2 * round(len(text) * 0.05 * 24_000)
    assert (synthesizer.spoken, synthesizer.spoken_by) == ([text], [voice])


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({}, "INVALID_REQUEST", "input"),
        ({"input": " \0"}, "INVALID_REQUEST", "input"),
        ({"input": "a" * 4001}, "INVALID_REQUEST", "input"),
        ({"input": "a", "response_format": "mp3"}, "INVALID_REQUEST", "response_format"),
        ({"input": "a", "voice": "nobody"}, "VOICE_NOT_FOUND", "voice"),
    ],
)
async def test_what_cannot_be_spoken_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], reason: str, field: str
) -> None:
    answer = await client.post(f"{PATH}/speech", json=body)
    assert (answer.is_error, answer.json()["reason"]) == (True, reason)
    assert field in answer.text


@pytest.mark.parametrize("error", [DOWN, None], ids=["error", "mute"])
async def test_a_voice_that_fails_is_told_by_the_status(
    client: httpx.AsyncClient, synthesizer: ScriptedSynthesizer, error: Exception | None
) -> None:
    synthesizer.error = error
    synthesizer.is_mute = error is None
    answer = await client.post(f"{PATH}/speech", json={"input": "Hello."})
    assert (answer.status_code, answer.json()["reason"]) == (503, "SYNTHESIS_UNAVAILABLE")


async def test_the_engine_speaks_with_it(client: httpx.AsyncClient) -> None:
    async with plugged_voice(f"{client.base_url}{PATH.removesuffix('/audio')}", None) as voice:
        assert [each.timbre_id for each in await voice.timbres()] == ["anna", "wei"]
        config = TtsConfig(TimbreId="anna")
        pcm = b"".join([piece async for piece in voice.speak("Hello there.", config)])
    assert len(pcm) == 2 * round(len("Hello there.") * 0.05 * 24_000)
