"""The drive WebSocket: what is played is what was sent, and every rule of the protocol."""

import json
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.engine_cloud import (
    Cloud,
    ManualClock,
    make_noise,
    make_tone,
    open_socket,
    start,
    stop,
    until_closed,
)


@pytest.mark.parametrize("sample_rate", [16000, 24000])
@pytest.mark.parametrize("samples", [12000, 12001, 7, 480])
async def test_played_samples_are_those_sent(cloud: Cloud, sample_rate: int, samples: int) -> None:
    task_id = await cloud.go_on_air()
    sent = make_noise(samples)
    drive_id = await cloud.play(task_id, sent.tobytes(), SampleRate=sample_rate)
    await cloud.receiver.until_drive(drive_id, 4)
    assert np.array_equal(await cloud.played(task_id, drive_id), sent)
    drive = await cloud.drive(task_id, drive_id)
    assert (drive["received_samples"], drive["played_samples"]) == (samples, samples)
    assert drive["sample_rate"] == sample_rate
    assert cloud.receiver.drive_statuses(drive_id) == [1, 2, 4]


@pytest.mark.parametrize(
    ("voice_channel", "expected"), [(0, [200, -150]), (1, [100, -100]), (2, [300, -200])]
)
async def test_stereo_voice_channel(cloud: Cloud, voice_channel: int, expected: list[int]) -> None:
    task_id = await cloud.go_on_air()
    sent = np.tile(np.array([100, 300, -100, -200], "<i2"), 1200)
    drive_id = await cloud.play(task_id, sent.tobytes(), Channel=2, VoiceChannel=voice_channel)
    await cloud.receiver.until_drive(drive_id, 4)
    assert np.array_equal(await cloud.played(task_id, drive_id), np.tile(expected, 1200))


async def test_sample_rate_and_channel_have_defaults(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await socket.send(json.dumps({"Action": "Start", "Payload": {"DriveId": drive_id}}))
        await socket.send(make_tone(0.1, sample_rate=16000).tobytes())
        await stop(socket, drive_id)
    await cloud.receiver.until_drive(drive_id, 4)
    assert (await cloud.drive(task_id, drive_id))["sample_rate"] == 16000


async def test_one_connection_serves_several_drives(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    first, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, first)
        await socket.send(make_tone(0.1).tobytes())
        await stop(socket, first)
        await cloud.receiver.until_drive(first, 4)
        second, _ = await cloud.begin_drive(task_id)
        await start(socket, second)
        await socket.send(make_tone(0.1).tobytes())
        await stop(socket, second)
        await cloud.receiver.until_drive(second, 4)
    assert (await cloud.recording(task_id))["violations"] == []


async def test_connection_lost_without_stop_plays_out_and_fails(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    sent = make_tone(0.2)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await socket.send(sent.tobytes())
    await cloud.receiver.until_drive(drive_id, 3)
    assert np.array_equal(await cloud.played(task_id, drive_id), sent)


async def test_interrupted_audio_is_discarded_and_the_connection_lives(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await socket.send(make_tone(5).tobytes())
        await cloud.receiver.until_drive(drive_id, 2)
        await cloud.data("InterruptDriveTask", TaskId=task_id)
        played = (await cloud.drive(task_id, drive_id))["played_samples"]
        await socket.send(make_tone(1).tobytes())
        await stop(socket, drive_id)
        second, _ = await cloud.begin_drive(task_id)
        await start(socket, second)
        await socket.send(make_tone(0.1).tobytes())
        await stop(socket, second)
        await cloud.receiver.until_drive(second, 4)
    drive = await cloud.drive(task_id, drive_id)
    assert drive["interrupted"]
    assert drive["played_samples"] == played < 5 * 24000
    assert len(await cloud.played(task_id, drive_id)) == played


async def test_start_of_a_drive_interrupted_before_is_tolerated(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    await cloud.data("InterruptDriveTask", TaskId=task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await socket.send(make_tone(0.1).tobytes())
        await stop(socket, drive_id)
        second, _ = await cloud.begin_drive(task_id)
        await start(socket, second)
        await stop(socket, second)
        await cloud.receiver.until_drive(second, 4)
    assert (await cloud.drive(task_id, drive_id))["played_samples"] == 0


Frame = str | bytes


def command(action: str, **payload: Any) -> str:
    return json.dumps({"Action": action, "Payload": payload})


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([b"\0\0"], "audio outside of Start and Stop"),
        (["{"], "text frame"),
        (['{"Action": "Ping"}'], "Action"),
        ([command("Start")], "Payload.DriveId: is required"),
        ([command("Start", DriveId="another")], "not the newest"),
        ([command("Start", DriveId="$", SampleRate=48000)], "Payload.SampleRate"),
        ([command("Start", DriveId="$", SampleRate="24000")], "Payload.SampleRate"),
        ([command("Start", DriveId="$", Channel=3)], "Payload.Channel"),
        ([command("Start", DriveId="$", VoiceChannel=-1)], "Payload.VoiceChannel"),
        ([command("Stop", DriveId="$")], "Stop without Start"),
        ([command("Start", DriveId="$"), command("Start", DriveId="$")], "has been used"),
        ([command("Start", DriveId="$"), command("Stop", DriveId="x")], "that was started"),
        ([command("Start", DriveId="$"), b"\0\0\0"], "splits a sample"),
        ([command("Start", DriveId="$", Channel=2), b"\0\0"], "splits a sample"),
        (
            [command("Start", DriveId="$"), command("Stop", DriveId="$"), b"\0\0"],
            "audio outside of Start and Stop",
        ),
    ],
)
async def test_violation_closes_with_1008(cloud: Cloud, frames: list[Frame], reason: str) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        for frame in frames:
            await socket.send(frame.replace("$", drive_id) if isinstance(frame, str) else frame)
        code, told = await until_closed(socket)
    assert code == 1008
    assert reason in str(told)
    assert (await cloud.recording(task_id))["violations"] == [told]


async def test_older_drive_cannot_be_started(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    older, _ = await cloud.begin_drive(task_id)
    _, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, older)
        code, _ = await until_closed(socket)
    assert code == 1008


async def test_second_connection_is_flagged(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    _, address = await cloud.begin_drive(task_id)
    async with open_socket(address):
        drive_id = await cloud.play(task_id, make_tone(0.1).tobytes())
    await cloud.receiver.until_drive(drive_id, 4)
    violations = (await cloud.recording(task_id))["violations"]
    assert violations == ["second drive connection at a time"]


async def test_end_of_the_task_closes_the_connection(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
        code, _ = await until_closed(socket)
    assert code == 1001


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda address: address.replace("/ws?", "/other?"), 404),
        (lambda address: address.partition("?")[0], 401),
        (lambda address: address[:-4] + "AAAA", 401),
        (lambda address: address + "&Token=x", 101),
    ],
)
async def test_address_is_checked(cloud: Cloud, change: Any, status: int) -> None:
    _, address = await cloud.begin_drive(await cloud.go_on_air())
    if status == 101:
        async with open_socket(change(address)):
            return
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(change(address)):
            pass
    assert refused.value.response.status_code == status


async def test_address_is_good_for_ten_minutes(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    task_id = await cloud.go_on_air()
    _, address = await cloud.begin_drive(task_id)
    clock.advance(599)
    async with open_socket(address):
        pass
    clock.advance(2)
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(address):
            pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("set_by_s", [3600, -3600])
async def test_address_is_good_though_the_clock_is_set(
    open_cloud: Any, clock: ManualClock, set_by_s: int
) -> None:
    cloud = await open_cloud(clock=clock)
    task_id = await cloud.go_on_air()
    _, address = await cloud.begin_drive(task_id)
    clock.set(set_by_s)
    async with open_socket(address):
        pass


async def test_address_of_a_stopped_task_is_refused(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    _, address = await cloud.begin_drive(task_id)
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(address):
            pass
    assert refused.value.response.status_code == 403


async def test_drive_that_is_never_started_fails(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    task_id = await cloud.go_on_air()
    drive_id, _ = await cloud.begin_drive(task_id)
    clock.advance(600)
    await cloud.receiver.until_drive(drive_id, 3)
