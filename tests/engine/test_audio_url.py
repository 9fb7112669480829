"""DriveByAudio: a file is fetched, decoded and played, or its drive fails."""

import io
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from engine.audio.recordings import write_wav
from engine.serving.http import serving_http
from engine.sources.audio_url import MAX_FILE_BYTES
from engine.sources.decoding_process import MAX_SOUND_S
from tests.support.engine_cloud import Cloud, make_noise, make_tone

MONO = make_noise(48000)


def write_stereo_wav() -> bytes:
    left, right = np.full(4800, 1000, np.int16), np.full(4800, -3000, np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        samples = np.stack([left, right], axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
    return file.getvalue()


def write_mp3() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=24000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            make_tone(1.0)[np.newaxis].astype(np.int16), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 24000, 0, Fraction(1, 24000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


FILES = {
    "mono.wav": write_wav(MONO.tobytes(), 48000),
    "stereo.wav": write_stereo_wav(),
    "tone.mp3": write_mp3(),
    "text.wav": b"this is not sound" * 100,
    "cut.wav": write_wav(MONO.tobytes(), 48000)[:20],
    "empty.wav": b"",
    "huge.wav": bytes(MAX_FILE_BYTES + 1),
    # Small as a file, ten minutes as sound.
    "long.wav": write_wav(bytes(2 * (MAX_SOUND_S + 1) * 100), 100),
}


async def give(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "moved.wav":
        return RedirectResponse("/mono.wav")
    if name not in FILES:
        return Response(status_code=404)
    return Response(FILES[name])


@pytest.fixture
async def files() -> AsyncIterator[str]:
    application = Starlette(routes=[Route("/{name}", give)])
    async with serving_http(application, host="127.0.0.1", port=0) as port:
        yield f"http://127.0.0.1:{port}"


async def play(cloud: Cloud, url: str, status: int, **parameters: int) -> np.ndarray:
    task_id = await cloud.go_on_air()
    data = await cloud.data("DriveByAudio", TaskId=task_id, AudioUrl=url, **parameters)
    await cloud.receiver.until_drive(data["DriveId"], status)
    played = await cloud.played(task_id, data["DriveId"])
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
    return played


@pytest.mark.parametrize("name", ["mono.wav", "moved.wav"])
async def test_wav_is_played_sample_by_sample(cloud: Cloud, files: str, name: str) -> None:
    assert np.array_equal(await play(cloud, f"{files}/{name}", 4), MONO)


async def test_mp3_is_played(cloud: Cloud, files: str) -> None:
    played = await play(cloud, f"{files}/tone.mp3", 4)
    spectrum = np.abs(np.fft.rfft(played))
    assert abs(np.argmax(spectrum) * 48000 / len(played) - 440) < 5
    assert 0.9 < len(played) / 48000 < 1.2


@pytest.mark.parametrize(("channel", "value"), [(0, -1000), (1, 1000), (2, -3000)])
async def test_voice_channel(cloud: Cloud, files: str, channel: int, value: int) -> None:
    played = await play(cloud, f"{files}/stereo.wav", 4, VoiceChannel=channel)
    assert np.array_equal(played, np.full(4800, value))


@pytest.mark.parametrize("name", ["text.wav", "cut.wav", "empty.wav", "huge.wav", "missing.wav"])
async def test_file_that_cannot_be_played_fails_the_drive(
    cloud: Cloud, files: str, name: str
) -> None:
    assert not len(await play(cloud, f"{files}/{name}", 3))


async def test_host_that_is_not_there_fails_the_drive(cloud: Cloud) -> None:
    assert not len(await play(cloud, "http://127.0.0.1:9/a.wav", 3))


async def test_interrupt_during_the_fetch(cloud: Cloud, files: str) -> None:
    task_id = await cloud.go_on_air()
    data = await cloud.data("DriveByAudio", TaskId=task_id, AudioUrl=f"{files}/huge.wav")
    await cloud.data("InterruptDriveTask", TaskId=task_id)
    await cloud.receiver.until_drive(data["DriveId"], 4)
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
    await cloud.receiver.until_task(task_id, 5)
    assert cloud.receiver.drive_statuses(data["DriveId"]) == [1, 4]


async def test_a_file_that_asks_for_too_much_fails_the_drive(cloud: Cloud, files: str) -> None:
    assert not len(await play(cloud, f"{files}/long.wav", 3))
    assert np.array_equal(await play(cloud, f"{files}/mono.wav", 4), MONO)


async def test_a_file_in_a_private_network_is_not_fetched(open_cloud: Any) -> None:
    asked: list[str] = []

    async def count(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(FILES["mono.wav"])

    application = Starlette(routes=[Route("/{name}", count)])
    cloud = await open_cloud(audio_networks=[])
    async with serving_http(application, host="127.0.0.1", port=0) as port:
        for host in ("127.0.0.1", "localhost", "0", "2130706433", "[::ffff:127.0.0.1]"):
            assert not len(await play(cloud, f"http://{host}:{port}/a.wav", 3))
    assert asked == []
