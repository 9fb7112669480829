"""The fault switches: what they do, where, and how often."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest

from engine.audio.sound import MAX_BUFFERED_S
from tests.support.engine_cloud import (
    DEBUG,
    Cloud,
    ManualClock,
    make_tone,
    open_socket,
    start,
    stop,
    until_closed,
)

LIST = "GetDigitalHumanList"


@pytest.mark.parametrize("code", [400010002, 400010007, 400010000, 100000005, 400000002])
async def test_refusal_by_action_and_count(cloud: Cloud, code: int) -> None:
    await cloud.set_faults({"kind": "refuse", "code": code, "action": LIST, "count": 2})
    await cloud.data("GetTimbreList")
    codes = [(await cloud.call(LIST))["Code"] for _ in range(3)]
    assert codes == [code, code, 0]


async def test_switches_are_shown_with_what_is_left_and_removed(cloud: Cloud) -> None:
    faults: list[dict[str, Any]] = [
        {"kind": "refuse", "code": 400010002, "count": 3},
        {"kind": "stall", "action": "DriveByWsStream"},
    ]
    await cloud.set_faults(*faults)
    await cloud.call(LIST)
    shown = (await cloud.http.get("/faults", headers=DEBUG)).json()
    assert shown["faults"] == [{**faults[0], "count": 2}, faults[1]]
    assert (await cloud.http.delete("/faults", headers=DEBUG)).json() == {"faults": []}
    await cloud.data(LIST)


BAD_SWITCHES = [
    (b"{", ""),
    (b"{}", "faults"),
    (b'{"faults": [{}]}', "faults.0"),
    (b'{"faults": [{"kind": "gremlin"}]}', "faults.0"),
    (b'{"faults": [{"kind": "refuse"}]}', "faults.0.refuse.code"),
    (b'{"faults": [{"kind": "refuse", "code": 7}]}', "faults.0.refuse.code"),
    (b'{"faults": [{"kind": "refuse", "code": 0}]}', "faults.0.refuse.code"),
    (b'{"faults": [{"kind": "stall", "action": "Fly"}]}', "faults.0.stall.action"),
    (b'{"faults": [{"kind": "stall", "count": 0}]}', "faults.0.stall.count"),
    (b'{"faults": [{"kind": "stall", "extra": 1}]}', "faults.0.stall.extra"),
    (b'{"faults": [{"kind": "delay", "seconds": -1}]}', "faults.0.delay.seconds"),
    (b'{"faults": [], "more": 1}', "more"),
]


async def test_bad_switches_are_named(cloud: Cloud) -> None:
    for body, field in BAD_SWITCHES:
        response = await cloud.http.put("/faults", content=body, headers=DEBUG)
        assert response.status_code == 400, body
        assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_http_500(cloud: Cloud) -> None:
    await cloud.set_faults({"kind": "http_500", "count": 1})
    assert (await cloud.http.post("/", params=cloud.query(LIST), json={})).status_code == 500
    await cloud.data(LIST)


async def test_invalid_json(cloud: Cloud) -> None:
    await cloud.set_faults({"kind": "invalid_json", "count": 1})
    response = await cloud.http.post("/", params=cloud.query(LIST), json={})
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


async def test_delay(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    await cloud.set_faults({"kind": "delay", "seconds": 7, "count": 1})
    calling = asyncio.create_task(cloud.data(LIST))
    await clock.until_someone_waits(7)
    assert not calling.done()
    clock.advance(7)
    assert (await calling)["Total"] >= 1


@pytest.mark.parametrize(("seconds", "code"), [(700, 100000004), (-700, 100000004), (100, 0)])
async def test_clock_skew(cloud: Cloud, seconds: int, code: int) -> None:
    await cloud.set_faults({"kind": "clock_skew", "seconds": seconds})
    assert (await cloud.call(LIST))["Code"] == code


async def test_slow_init(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    await cloud.set_faults({"kind": "slow_init", "seconds": 40, "count": 1})
    task_id = await cloud.create()
    await clock.until_someone_waits(40)
    clock.advance(40)
    await cloud.receiver.until_task(task_id, 3)


async def test_socket_drop_after_some_audio(cloud: Cloud) -> None:
    await cloud.set_faults({"kind": "socket_drop", "after_ms": 100, "count": 1})
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    piece = make_tone(0.05)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await socket.send(piece.tobytes())
        await socket.send(piece.tobytes())
        code, _ = await until_closed(socket)
    assert code == 1006
    await cloud.receiver.until_drive(drive_id, 3)
    assert np.array_equal(await cloud.played(task_id, drive_id), np.tile(piece, 2))


async def test_engine_ends_though_a_stalled_drive_holds_its_sender_back(open_cloud: Any) -> None:
    two_minutes = bytes(int(MAX_BUFFERED_S) * 32000)
    async with AsyncExitStack() as engine:
        cloud = await open_cloud(stack=engine)
        await cloud.set_faults({"kind": "stall"})
        task_id = await cloud.go_on_air()
        drive_id, address = await cloud.begin_drive(task_id)
        async with open_socket(address) as socket:
            await start(socket, drive_id, SampleRate=16000)
            await socket.send(two_minutes)
            await socket.send(two_minutes)
            while (await cloud.drive(task_id, drive_id))["received_samples"] < len(two_minutes):
                pass
            await engine.aclose()
            await until_closed(socket)
    await cloud.receiver.until_task(task_id, 5)


async def test_stall_takes_audio_but_plays_none(cloud: Cloud) -> None:
    await cloud.set_faults({"kind": "stall", "count": 1})
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await socket.send(make_tone(0.1).tobytes())
        await stop(socket, drive_id)
    other = await cloud.play(await cloud.go_on_air("stream-2"), make_tone(0.3).tobytes())
    await cloud.receiver.until_drive(other, 4)
    drive = await cloud.drive(task_id, drive_id)
    assert (drive["received_samples"], drive["played_samples"]) == (2400, 0)
    await cloud.data("InterruptDriveTask", TaskId=task_id)
    await cloud.receiver.until_drive(drive_id, 4)
    assert cloud.receiver.drive_statuses(drive_id) == [1, 4]
