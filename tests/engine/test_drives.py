"""The order of drives, and what each call does to those that run or wait."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from engine.contract.codes import Code
from engine.contract.parameters import TtsConfig
from engine.sources.speaker import Timbre
from engine.tasks.stage import FeedError
from tests.support.engine_cloud import Cloud, make_noise, make_tone

SPOKEN = make_noise(2400)


class ScriptedSpeaker:
    """Says the same samples for every text; for `endless` it never ends, for `broken` it fails."""

    sample_rate = 24_000

    async def timbres(self) -> tuple[Timbre, ...]:
        return (Timbre(timbre_id="calm", name="Calm"),)

    async def speak(self, text: str, config: TtsConfig) -> AsyncIterator[bytes]:
        if text == "broken":
            raise FeedError("no voice")
        if text == "bug":
            raise KeyError(text)
        yield SPOKEN.tobytes()
        while text == "endless":
            await asyncio.sleep(0.02)
            yield SPOKEN.tobytes()


@pytest.fixture
async def cloud(open_cloud: Any) -> Cloud:
    return await open_cloud(speaker=ScriptedSpeaker())


async def say(cloud: Cloud, task_id: str, text: str, mode: int = 0) -> str:
    data = await cloud.data(
        "DriveByText",
        TaskId=task_id,
        Text=text,
        InterruptMode=mode,
        TTSConfig={"TimbreId": "calm"},
    )
    return data["DriveId"]


async def say_endlessly(cloud: Cloud, task_id: str) -> str:
    drive_id = await say(cloud, task_id, "endless")
    await cloud.receiver.until_drive(drive_id, 2)
    return drive_id


async def test_text_is_spoken(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    assert (await cloud.data("GetTimbreList"))["Timbres"][0]["TimbreId"] == "calm"
    drive_id = await say(cloud, task_id, "hello")
    await cloud.receiver.until_drive(drive_id, 4)
    assert np.array_equal(await cloud.played(task_id, drive_id), SPOKEN)


async def test_mode_0_waits_its_turn(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drives = [await say(cloud, task_id, "hello") for _ in range(3)]
    await cloud.receiver.until_drive(drives[-1], 4)
    order = [
        (body["Detail"]["DriveId"], body["Detail"]["Status"])
        for body in cloud.receiver.bodies
        if body["EventType"] == 4 and body["Detail"]["Status"] != 1
    ]
    assert order == [(drive_id, status) for drive_id in drives for status in (2, 4)]


async def test_mode_1_interrupts_the_running_drive_and_keeps_the_queue(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    running = await say_endlessly(cloud, task_id)
    waiting = await say(cloud, task_id, "hello")
    urgent = await say(cloud, task_id, "hello", mode=1)
    await cloud.receiver.until_drive(waiting, 4)
    assert (await cloud.drive(task_id, running))["interrupted"]
    finals = [
        body["Detail"]["DriveId"]
        for body in cloud.receiver.bodies
        if body["EventType"] == 4 and body["Detail"]["Status"] == 4
    ]
    assert finals == [running, urgent, waiting]


@pytest.mark.parametrize("action", ["DriveByWsStream", "InterruptDriveTask"])
async def test_these_interrupt_and_discard_the_queue(cloud: Cloud, action: str) -> None:
    task_id = await cloud.go_on_air()
    running = await say_endlessly(cloud, task_id)
    waiting = await say(cloud, task_id, "hello")
    await cloud.data(action, TaskId=task_id)
    await cloud.receiver.until_drive(running, 4)
    await cloud.receiver.until_drive(waiting, 4)
    shown = {drive["drive_id"]: drive for drive in (await cloud.recording(task_id))["drives"]}
    assert shown[running]["interrupted"]
    assert shown[running]["played_samples"] > 0
    assert shown[waiting]["interrupted"]
    assert shown[waiting]["played_samples"] == 0


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("DoAction", {"Action": "idle"}),
    ],
)
async def test_these_leave_drives_alone(
    cloud: Cloud, action: str, parameters: dict[str, Any]
) -> None:
    task_id = await cloud.go_on_air()
    running = await say_endlessly(cloud, task_id)
    await cloud.call(action, TaskId=task_id, **parameters)
    listed = await cloud.data("GetDriveStatus", TaskId=task_id)
    assert listed["DriveList"] == [{"DriveId": running, "Status": 2}]


async def test_interrupt_of_nothing_succeeds(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    assert await cloud.data("InterruptDriveTask", TaskId=task_id) == {}


@pytest.mark.parametrize(("told_as", "status"), [("ended", 4), ("interrupted", 5)])
async def test_status_after_an_interrupt_is_a_setting(
    open_cloud: Any, told_as: str, status: int
) -> None:
    cloud = await open_cloud(speaker=ScriptedSpeaker(), interrupted_status=told_as)
    task_id = await cloud.go_on_air()
    running = await say_endlessly(cloud, task_id)
    await cloud.data("InterruptDriveTask", TaskId=task_id)
    await cloud.receiver.until_drive(running, status)
    listed = await cloud.data("GetDriveStatus", DriveId=running)
    assert listed["DriveList"] == [{"DriveId": running, "Status": status}]
    assert cloud.receiver.drive_statuses(running) == [1, 2, status]


@pytest.mark.parametrize("text", ["broken", "bug"])
async def test_drive_that_cannot_be_fed_fails_and_the_next_goes_on(cloud: Cloud, text: str) -> None:
    task_id = await cloud.go_on_air()
    broken = await say(cloud, task_id, text)
    after = await say(cloud, task_id, "hello")
    await cloud.receiver.until_drive(broken, 3)
    await cloud.receiver.until_drive(after, 4)


async def test_queue_is_bounded(open_cloud: Any, clock: Any) -> None:
    cloud = await open_cloud(speaker=ScriptedSpeaker(), clock=clock)
    task_id = await cloud.go_on_air()
    await say_endlessly(cloud, task_id)
    for _ in range(64):
        clock.advance(1)
        await say(cloud, task_id, "endless")
    clock.advance(1)
    refused = await cloud.call(
        "DriveByText", TaskId=task_id, Text="one more", TTSConfig={"TimbreId": "calm"}
    )
    assert refused["Code"] == Code.SYSTEM_BUSY


async def test_next_drive_follows_an_interrupt_at_once(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    await say_endlessly(cloud, task_id)
    drive_id = await cloud.play(task_id, make_tone(0.1).tobytes())
    await cloud.receiver.until_drive(drive_id, 4)
