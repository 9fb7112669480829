"""DriveByText speaks with a voice that is plugged in by its address."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from engine.serving.http import serving_http
from tests.support.engine_cloud import Cloud, make_tone

TONE = make_tone(0.4)


@dataclass
class ScriptedVoice:
    """An API as OpenAI's speech API is."""

    url: str = ""
    media_type: str = "audio/pcm;rate=24000"
    pieces: Sequence[bytes] = (TONE.tobytes()[:1001], TONE.tobytes()[1001:])
    status: int = 200
    voices: Any = field(default_factory=lambda: {"voices": [{"id": "anna", "name": "Anna"}]})
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def list(self, request: Request) -> Response:
        return JSONResponse(self.voices)

    async def speak(self, request: Request) -> Response:
        self.asked.append(json.loads(await request.body()))
        self.keys.append(request.headers.get("authorization", ""))

        async def told() -> AsyncIterator[bytes]:
            for piece in self.pieces:
                yield piece

        return StreamingResponse(told(), status_code=self.status, media_type=self.media_type)


@pytest.fixture
async def voice() -> AsyncIterator[ScriptedVoice]:
    scripted = ScriptedVoice()
    application = Starlette(
        routes=[
            Route("/v1/audio/voices", scripted.list),
            Route("/v1/audio/speech", scripted.speak, methods=["POST"]),
        ]
    )
    async with serving_http(application, host="127.0.0.1", port=0) as port:
        scripted.url = f"http://127.0.0.1:{port}/v1"
        yield scripted


@pytest.fixture
async def cloud(open_cloud: Any, voice: ScriptedVoice) -> Cloud:
    return await open_cloud(voice_url=voice.url, voice_key="sesame")


async def say(cloud: Cloud, task_id: str, **tts: Any) -> str:
    data = await cloud.data(
        "DriveByText", TaskId=task_id, Text="Hello.", TTSConfig={"TimbreId": "anna", **tts}
    )
    return str(data["DriveId"])


async def test_its_voices_are_the_timbres(cloud: Cloud) -> None:
    assert await cloud.data("GetTimbreList") == {
        "Total": 1,
        "Timbres": [{"TimbreId": "anna", "Name": "Anna", "AvatarUrl": ""}],
    }


async def test_exactly_its_samples_are_played(cloud: Cloud, voice: ScriptedVoice) -> None:
    task_id = await cloud.go_on_air()
    drive_id = await say(cloud, task_id)
    await cloud.receiver.until_drive(drive_id, 4)
    assert np.array_equal(await cloud.played(task_id, drive_id), TONE)
    (asked,) = voice.asked
    assert {name: asked[name] for name in ("input", "voice", "response_format", "speed")} == {
        "input": "Hello.",
        "voice": "anna",
        "response_format": "pcm",
        "speed": 1,
    }
    assert voice.keys == ["Bearer sesame"]


async def test_rate_and_volume_are_followed(cloud: Cloud, voice: ScriptedVoice) -> None:
    task_id = await cloud.go_on_air()
    voice.media_type = "audio/L16; rate=48000; channels=1"
    drive_id = await say(cloud, task_id, SpeechRate=500, Volume=25)
    await cloud.receiver.until_drive(drive_id, 4)
    played = await cloud.played(task_id, drive_id)
    assert abs(len(played) - len(TONE) // 2) < 100
    assert voice.asked[0]["speed"] == 2
    assert np.abs(played).max() < 0.6 * np.abs(TONE).max()


@pytest.mark.parametrize(
    "changes", [{"status": 500}, {"media_type": "audio/pcm;rate=7"}, {"pieces": ()}]
)
async def test_a_voice_that_fails_fails_the_drive_or_says_nothing(
    cloud: Cloud, voice: ScriptedVoice, changes: dict[str, Any]
) -> None:
    task_id = await cloud.go_on_air()
    for name, value in changes.items():
        setattr(voice, name, value)
    drive_id = await say(cloud, task_id)
    await cloud.receiver.until(
        lambda bodies: any(
            each["EventType"] == 4 and each["Detail"]["Status"] in (3, 4) for each in bodies
        )
    )
    assert len(await cloud.played(task_id, drive_id)) == 0


@pytest.mark.parametrize("voices", [{}, [], {"voices": [{}]}, {"voices": None}])
async def test_what_lists_no_voices_offers_no_timbre(
    cloud: Cloud, voice: ScriptedVoice, voices: Any
) -> None:
    voice.voices = voices
    assert (await cloud.data("GetTimbreList"))["Timbres"] == []


async def test_a_voice_that_is_not_there_offers_no_timbre(open_cloud: Any) -> None:
    cloud = await open_cloud(voice_url="http://127.0.0.1:9/v1")
    assert (await cloud.data("GetTimbreList"))["Timbres"] == []
    task_id = await cloud.go_on_air()
    refused = await cloud.call(
        "DriveByText", TaskId=task_id, Text="Hello.", TTSConfig={"TimbreId": "anna"}
    )
    assert refused["Code"] == 400000004
