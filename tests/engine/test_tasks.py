"""The life cycle of tasks: states, endings, quota, uniqueness, memory of the past."""

import asyncio
from typing import Any

from engine.contract.codes import Code
from tests.support.engine_cloud import (
    Cloud,
    ManualClock,
    create_parameters,
    make_tone,
    open_socket,
    start,
)

CREATE = "CreateDigitalHumanStreamTask"
STATUS = "GetDigitalHumanStreamTaskStatus"
STOP = "StopDigitalHumanStreamTask"
QUERY = "QueryDigitalHumanStreamTasks"


async def test_states_from_create_to_stop(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock, init_delay_s=5)
    task_id = await cloud.create("stream-1", room_id="room-9")
    task = await cloud.data(STATUS, TaskId=task_id)
    assert (task["Status"], task["RoomId"], task["StreamId"]) == (1, "room-9", "stream-1")
    assert task["CreateTime"] == int(clock.time())
    clock.advance(5)
    await cloud.receiver.until_task(task_id, 3)
    assert (await cloud.data(STATUS, TaskId=task_id))["Status"] == 3
    [listed] = (await cloud.data(QUERY))["TaskList"]
    assert (listed["TaskId"], listed["Status"]) == (task_id, 3)
    assert "Data" not in await cloud.call(STOP, TaskId=task_id)
    assert (await cloud.data(QUERY))["TaskList"] == []
    assert (await cloud.call(STATUS, TaskId=task_id))["Code"] == Code.STREAM_STOPPED
    assert (await cloud.call(STOP, TaskId=task_id))["Code"] == Code.STREAM_STOPPED
    await cloud.receiver.until_task(task_id, 5)
    assert cloud.receiver.task_statuses(task_id) == [1, 3, 4, 5]


async def test_stop_while_initialising(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock, init_delay_s=5)
    task_id = await cloud.create()
    await cloud.data(STOP, TaskId=task_id)
    await cloud.receiver.until_task(task_id, 5)
    assert cloud.receiver.task_statuses(task_id) == [1, 4, 5]


async def test_failed_initialisation(cloud: Cloud) -> None:
    await cloud.set_faults({"kind": "init_failure", "reason": "no model", "count": 1})
    task_id = await cloud.create()
    told = await cloud.receiver.until_task(task_id, 2)
    assert told["Detail"]["FailReason"] == "no model"
    task = await cloud.data(STATUS, TaskId=task_id)
    assert (task["Status"], task["FailReason"]) == (2, "no model")
    assert (await cloud.call("DriveByWsStream", TaskId=task_id))["Code"] == Code.STREAM_STOPPED
    assert (await cloud.data(QUERY))["TaskList"] == []
    await cloud.go_on_air()


async def test_ttl_ends_a_task(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    task_id = await cloud.go_on_air(TTL=10)
    await clock.until_someone_waits(10)
    clock.advance(10)
    await cloud.receiver.until_task(task_id, 5)
    assert cloud.receiver.task_statuses(task_id) == [1, 3, 4, 5]


async def test_idle_time_counts_from_the_last_drive(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    task_id = await cloud.go_on_air(MaxIdleTime=30)
    await clock.until_someone_waits(30)
    clock.advance(20)
    drive_id = await cloud.play(task_id, make_tone(0.1).tobytes())
    await cloud.receiver.until_drive(drive_id, 4)
    clock.advance(10)
    await clock.until_someone_waits(20)
    assert (await cloud.data(STATUS, TaskId=task_id))["Status"] == 3
    clock.advance(20)
    await cloud.receiver.until_task(task_id, 5)


async def test_end_interrupts_the_running_drive(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await socket.send(make_tone(5).tobytes())
        await cloud.receiver.until_drive(drive_id, 2)
        await cloud.data(STOP, TaskId=task_id)
    await cloud.receiver.until_task(task_id, 5)
    order = [
        (body["EventType"], body["Detail"]["Status"])
        for body in cloud.receiver.bodies
        if body["TaskId"] == task_id
    ]
    assert order == [(3, 1), (3, 3), (4, 1), (4, 2), (3, 4), (4, 4), (3, 5)]
    assert (await cloud.drive(task_id, drive_id))["interrupted"]


async def test_stream_id_is_unique_among_living_tasks(cloud: Cloud) -> None:
    task_id = await cloud.create("stream-1")
    refused = await cloud.call(CREATE, **create_parameters(stream_id="stream-1"))
    assert refused["Code"] == Code.STREAM_ID_IN_USE
    await cloud.data(STOP, TaskId=task_id)
    await cloud.create("stream-1")


async def test_quota(open_cloud: Any) -> None:
    cloud = await open_cloud(max_tasks=2)
    first = await cloud.create("a")
    await cloud.create("b")
    refused = await cloud.call(CREATE, **create_parameters(stream_id="c"))
    assert refused["Code"] == Code.CONCURRENCY_EXCEEDED
    await cloud.data(STOP, TaskId=first)
    await cloud.create("c")


async def test_unknown_person(cloud: Cloud) -> None:
    parameters = create_parameters() | {"DigitalHumanConfig": {"DigitalHumanId": "nobody"}}
    refused = await cloud.call(CREATE, **parameters)
    assert refused["Code"] == Code.DIGITAL_HUMAN_NOT_FOUND


async def test_finished_tasks_are_forgotten_after_an_hour(
    open_cloud: Any, clock: ManualClock
) -> None:
    cloud = await open_cloud(clock=clock)
    task_id = await cloud.create()
    await cloud.data(STOP, TaskId=task_id)
    clock.advance(3599)
    assert (await cloud.call(STATUS, TaskId=task_id))["Code"] == Code.STREAM_STOPPED
    clock.advance(2)
    assert (await cloud.call(STATUS, TaskId=task_id))["Code"] == Code.TASK_NOT_FOUND


async def test_twenty_tasks_leave_nothing_behind(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)

    async def live(number: int) -> None:
        clock.advance(1)
        task_id = await cloud.go_on_air(f"stream-{number}")
        drive_id, address = await cloud.begin_drive(task_id)
        async with open_socket(address) as socket:
            await start(socket, drive_id)
            await socket.send(make_tone(1).tobytes())
            await cloud.receiver.until_drive(drive_id, 2)
            await cloud.data(STOP, TaskId=task_id)
            await socket.wait_closed()
        await cloud.receiver.until_task(task_id, 5)

    await live(0)
    base = await _settled_tasks()
    for number in range(1, 21):
        await live(number)
    assert await _settled_tasks() <= base


async def _settled_tasks() -> int:
    """How many asyncio tasks there are once those that are about to end have ended."""
    count, before = len(asyncio.all_tasks()), 0
    while count != before:
        before = count
        await asyncio.sleep(0.3)
        count = len(asyncio.all_tasks())
    return count
