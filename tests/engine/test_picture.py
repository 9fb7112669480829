"""Viewers see the digital human: real frames over WebRTC, decoded and looked at."""

import asyncio
import gc
import threading
import wave
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from aiortc import RTCPeerConnection
from numpy.typing import NDArray

from engine.face.canvas import prepare_canvas
from engine.face.layout import Layout
from engine.face.looks import MIA
from engine.face.painter import Painter
from engine.face.pose import Pose
from tests.support.engine_cloud import Cloud, Viewer, make_noise

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "en_kokoro_af_heart_2.wav"
# Where the mouth of Mia is in a picture of 512 by 512: rows, then columns.
MOUTH = slice(240, 310), slice(215, 300)
FRAMES_PER_S = 25

Luma = NDArray[np.float64]


def more_than(count: int, pictures: Sequence[av.VideoFrame]) -> bool:
    return len(pictures) > count


def read_luma(frame: av.VideoFrame) -> Luma:
    """The brightness of a decoded frame."""
    height = frame.height
    planes = frame.to_ndarray(format="yuv420p")
    return planes[:height].astype(np.float64)


def measure_mouth(frame: av.VideoFrame) -> float:
    """How dark the darkest parts of the mouth are: an open one is dark inside."""
    return float(-np.percentile(read_luma(frame)[MOUTH], 3))


def read_speech(path: Path) -> tuple[bytes, int]:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes()), file.getframerate()


def read_health(health: dict[str, Any], *names: str) -> list[int]:
    return [health[name] for name in names]


async def ask_health(cloud: Cloud) -> dict[str, Any]:
    health: dict[str, Any] = (await cloud.http.get("/healthz")).json()
    return health


@pytest.mark.parametrize(
    ("settings", "video_config", "size"),
    [
        ({}, None, (512, 512)),
        ({"layout": "720x720"}, None, (720, 720)),
        ({"layout": "720x1280"}, {"Width": 512, "Height": 512}, (512, 512)),
        ({}, {"Width": 720, "Height": 1280, "Bitrate": 1}, (720, 1280)),
        ({}, {"Width": 1920, "Height": 1080}, (512, 512)),
    ],
    ids=["default", "setting", "smaller", "tall", "foreign"],
)
async def test_size_of_the_picture(
    open_cloud: Any, settings: dict[str, str], video_config: Any, size: tuple[int, int]
) -> None:
    cloud = await open_cloud(**settings)
    await cloud.go_on_air(**({} if video_config is None else {"VideoConfig": video_config}))
    async with Viewer(cloud, "stream-1", sees=True) as viewer:
        await viewer.until_pictures(lambda pictures: len(pictures) > 10)
        assert {(frame.width, frame.height) for frame in viewer.pictures} == {size}


async def test_mouth_moves_with_the_voice_and_rests_in_silence(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with Viewer(cloud, "stream-1", sees=True) as viewer:
        await viewer.until_pictures(lambda pictures: len(pictures) > 20)
        silent = [measure_mouth(frame) for frame in viewer.pictures]
        pcm, rate = read_speech(SPEECH)
        start = len(viewer.pictures)
        drive_id = await cloud.play(task_id, pcm, SampleRate=rate)
        await cloud.receiver.until_drive(drive_id, 4)
        end = len(viewer.pictures) + FRAMES_PER_S
        await viewer.until_pictures(lambda pictures: len(pictures) > end)
        speaking = in_time(viewer.pictures[start:])
    rest, spread = float(np.median(silent)), float(np.ptp(silent))
    assert max(speaking) - rest > 3 * spread + 5
    assert abs(speaking[-1] - rest) < spread + 5
    follow = find_best_correlation(speaking, measure_envelope(pcm, rate))
    assert follow > 0.5


def in_time(pictures: list[av.VideoFrame]) -> Luma:
    """The mouth at every frame's time: a busy machine leaves frames out."""
    times = [picture.time for picture in pictures]
    grid = np.arange(times[0], times[-1], 1 / FRAMES_PER_S)
    mouths: Luma = np.interp(grid, times, [measure_mouth(picture) for picture in pictures])
    return mouths


def measure_envelope(pcm: bytes, rate: int) -> Luma:
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    size = rate // FRAMES_PER_S
    whole = samples[: len(samples) // size * size].reshape(-1, size)
    level: Luma = np.sqrt(np.mean(whole**2, axis=1))
    return level


def find_best_correlation(mouth: Luma, envelope: Luma) -> float:
    """Over the first frame of the speech, which a viewer cannot know."""
    delays = range(max(1, len(mouth) - len(envelope)))
    return max(
        float(
            np.corrcoef(mouth[delay : delay + len(envelope)], envelope[: len(mouth) - delay])[0, 1]
        )
        for delay in delays
    )


async def test_interrupt_closes_the_mouth(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with Viewer(cloud, "stream-1", sees=True) as viewer:
        await viewer.until_pictures(lambda pictures: len(pictures) > 10)
        rest = measure_mouth(viewer.pictures[-1])
        # Without a pause, and longer than this test waits.
        await cloud.play(task_id, make_noise(60 * 24_000).tobytes())
        await viewer.until_pictures(lambda pictures: measure_mouth(pictures[-1]) > rest + 20)
        await cloud.data("InterruptDriveTask", TaskId=task_id)
        await viewer.until_level(lambda level: level < 10)
        seen = len(viewer.pictures)
        await viewer.until_pictures(lambda pictures: len(pictures) > seen + 10)
        after = [measure_mouth(frame) for frame in viewer.pictures[seen + 5 :]]
    assert max(after) < rest + 12


async def test_picture_needs_nobody_when_it_is_still(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with Viewer(cloud, "stream-1", sees=True) as viewer:
        while not (await ask_health(cloud))["looped_frames"]:
            pass
        painted = (await ask_health(cloud))["frames"]
        seen = len(viewer.pictures)
        await viewer.until_pictures(lambda pictures: len(pictures) > seen + 30)
        assert (await ask_health(cloud))["frames"] == painted
        await cloud.data("DoAction", TaskId=task_id, Action="nod")
        while (await ask_health(cloud))["frames"] == painted:
            pass
    while (await ask_health(cloud))["viewers"]:
        pass
    before = await ask_health(cloud)
    await cloud.play(task_id, b"\0" * 48000)
    await cloud.receiver.until(
        lambda bodies: any(body["Detail"].get("Status") == 4 for body in bodies)
    )
    after = await ask_health(cloud)
    names = ("frames", "looped_frames")
    assert read_health(before, *names) == read_health(after, *names)


async def test_three_viewers_see_the_frames_of_one_encoder(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    pcm, rate = read_speech(SPEECH)
    async with (
        Viewer(cloud, "stream-1", sees=True) as first,
        Viewer(cloud, "stream-1", sees=True) as second,
        Viewer(cloud, "stream-1", sees=True) as third,
    ):
        viewers = (first, second, third)
        for viewer in viewers:
            await viewer.until_pictures(lambda pictures: len(pictures) > 5)
        before = await ask_health(cloud)
        seen = [len(viewer.pictures) for viewer in viewers]
        await cloud.play(task_id, pcm, SampleRate=rate)
        for viewer, count in zip(viewers, seen, strict=True):
            await viewer.until_pictures(partial(more_than, count + 50))
        after = await ask_health(cloud)
        made = sum(after[name] - before[name] for name in ("frames", "looped_frames"))
        got = [len(viewer.pictures) - count for viewer, count in zip(viewers, seen, strict=True)]
    assert made < min(got) * 2


async def test_viewer_that_lost_its_way_gets_a_key_frame(cloud: Cloud) -> None:
    await cloud.go_on_air()
    async with Viewer(cloud, "stream-1", sees=True) as viewer:
        while not (await ask_health(cloud))["looped_frames"]:
            pass
        before = (await ask_health(cloud))["key_frames"]
        await ask_for_key_frame(viewer.peer)
        while (await ask_health(cloud))["key_frames"] == before:
            pass
        seen = len(viewer.pictures)
        await viewer.until_pictures(lambda pictures: len(pictures) > seen + 50)
        assert (await ask_health(cloud))["key_frames"] == before + 1


async def ask_for_key_frame(peer: RTCPeerConnection) -> None:
    receiver = next(each for each in peer.getReceivers() if each.track.kind == "video")
    stats = (await receiver.getStats()).values()
    source = next(each.ssrc for each in stats if each.type == "inbound-rtp")
    await receiver._send_rtcp_pli(source)


async def test_background_colour(cloud: Cloud) -> None:
    person = {"DigitalHumanId": "parley_mia", "BackgroundColor": "#00ff00"}
    await cloud.go_on_air(DigitalHumanConfig=person)
    async with Viewer(cloud, "stream-1", sees=True) as viewer:
        await viewer.until_pictures(lambda pictures: len(pictures) > 5)
        red, green, blue = viewer.pictures[-1].to_ndarray(format="rgb24")[20, 20]
    assert green > 200
    assert max(red, blue) < 60


async def test_viewer_without_a_picture_costs_no_painting(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with Viewer(cloud, "stream-1") as viewer:
        drive_id = await cloud.play(task_id, b"\0" * 48000)
        await cloud.receiver.until_drive(drive_id, 4)
        assert viewer.frames
        assert read_health(await ask_health(cloud), "frames", "looped_frames") == [0, 0]


async def test_twenty_tasks_leave_nothing_behind(cloud: Cloud) -> None:
    process = psutil.Process()

    async def show(number: int) -> None:
        stream_id = f"stream-{number}"
        task_id = await cloud.go_on_air(stream_id)
        async with Viewer(cloud, stream_id, sees=True) as viewer:
            await viewer.until_pictures(lambda pictures: len(pictures) > 2)
            await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
            await viewer.until_end()

    def count() -> tuple[int, int, int, int]:
        gc.collect()
        painters = sum(isinstance(each, Painter) for each in gc.get_objects())
        return len(asyncio.all_tasks()), process.num_fds(), threading.active_count(), painters

    for number in range(3):
        await show(number)
    base, memory = await settle(count), process.memory_info().rss
    for number in range(3, 23):
        await show(number)
    tasks, files, threads, painters = np.subtract(await settle(count), base)
    assert max(tasks, files, painters) <= 0
    # Pools start a thread when all are busy; a leak is one for each task.
    assert threads < 20
    assert process.memory_info().rss - memory < 40 * 2**20


async def settle(count: Callable[[], tuple[int, ...]]) -> tuple[int, ...]:
    """The counts once they are the same twice."""
    before: tuple[int, ...] = ()
    while before != (now := count()):
        before = now
        await asyncio.sleep(0.3)
    return now


def test_closed_and_open_mouths_can_be_told_apart() -> None:
    painter = Painter(prepare_canvas(MIA, Layout.SQUARE, None))
    levels = []
    for opening in (0.0, 0.5, 1.0):
        picture = painter.paint(Pose(mouth_open=opening))
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        levels.append(measure_mouth(frame))
    assert levels[0] + 20 < levels[1] <= levels[2]
