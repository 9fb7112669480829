"""Callbacks: their fields, signature, order, retries and faults."""

import hashlib
from contextlib import AsyncExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.engine_cloud import Cloud, ManualClock, Receiver, make_tone

SECRET = "the-callback-secret"


def signature(body: dict[str, Any]) -> str:
    parts = sorted([SECRET, body["Timestamp"], body["Nonce"]])
    return hashlib.sha1("".join(parts).encode()).hexdigest()


@pytest.mark.parametrize(("unit", "digits"), [("ms", 13), ("s", 10)])
async def test_fields_and_signature(open_cloud: Any, unit: str, digits: int) -> None:
    cloud = await open_cloud(callback_timestamps=unit)
    task_id = await cloud.go_on_air("stream-1", room_id="room-1")
    drive_id = await cloud.play(task_id, make_tone(0.1).tobytes())
    told = await cloud.receiver.until_drive(drive_id, 4)
    assert told["Detail"] == {"DriveId": drive_id, "Status": 4}
    on_air = await cloud.receiver.until_task(task_id, 3)
    assert on_air["Detail"] == {"Status": 3, "RoomId": "room-1", "StreamId": "stream-1"}
    for body in cloud.receiver.bodies:
        assert body["AppId"] == cloud.engine.app_id
        assert len(body["Timestamp"]) == digits
        assert len(str(body["EventTime"])) == 13
        assert body["Signature"] == signature(body)
    assert len({body["Nonce"] for body in cloud.receiver.bodies}) == len(cloud.receiver.bodies)


async def test_retries_the_same_body_on_schedule_then_gives_up(
    open_cloud: Any, clock: ManualClock
) -> None:
    cloud = await open_cloud(clock=clock)
    cloud.receiver.answers = [500, 404, 503, 302, 500, 500]
    task_id = await cloud.create()
    for seconds in (2, 4, 8, 16, 32):
        await clock.until_someone_waits(seconds)
        clock.advance(seconds)
    await cloud.receiver.until_task(task_id, 3)
    first, *others = cloud.receiver.bodies
    assert others[:5] == [first] * 5
    assert cloud.receiver.task_statuses(task_id) == [1] * 6 + [3]


async def test_receiver_that_recovers_gets_all_in_order(
    open_cloud: Any, clock: ManualClock
) -> None:
    cloud = await open_cloud(clock=clock)
    cloud.receiver.answers = [500]
    task_id = await cloud.create()
    await clock.until_someone_waits(2)
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
    assert cloud.receiver.task_statuses(task_id) == [1]
    clock.advance(2)
    await cloud.receiver.until_task(task_id, 5)
    assert cloud.receiver.task_statuses(task_id) == [1, 1, 3, 4, 5]


async def test_receiver_that_is_not_there_does_not_hold_up_the_engine(open_cloud: Any) -> None:
    cloud = await open_cloud(callback_url="http://127.0.0.1:9/hook")
    task_id = await cloud.create()
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("callback_loss", [3, 4, 5]),
        ("callback_duplicate", [1, 1, 3, 4, 5]),
        ("callback_reorder", [3, 1, 4, 5]),
    ],
)
async def test_faults(cloud: Cloud, kind: str, statuses: list[int]) -> None:
    await cloud.set_faults({"kind": kind, "count": 1})
    task_id = await cloud.go_on_air()
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
    await cloud.receiver.until_task(task_id, 5)
    assert cloud.receiver.task_statuses(task_id) == statuses


async def test_last_callbacks_are_sent_before_the_engine_ends(
    open_cloud: Any, receiver: Receiver
) -> None:
    async with AsyncExitStack() as engine:
        cloud = await open_cloud(stack=engine)
        task_id = await cloud.go_on_air()
    assert receiver.task_statuses(task_id) == [1, 3, 4, 5]


async def test_a_receiver_that_is_gone_does_not_hold_up_the_end(
    open_cloud: Any, receiver: Receiver, clock: ManualClock
) -> None:
    with capture_logs() as told:
        async with AsyncExitStack() as engine:
            cloud = await open_cloud(stack=engine, clock=clock)
            receiver.answers = [500, 500]
            task_id = await cloud.create()
            await clock.until_someone_waits(2)
    # The one that waited is tried once more, and nothing behind it.
    assert receiver.task_statuses(task_id) == [1, 1]
    assert [each["retry_s"] for each in told if each["event"] == "callback failed"] == [2.0, None]
