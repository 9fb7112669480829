"""StopTask, RefreshTask and the reconciler: a task ends when it should, and only then."""

import asyncio
import uuid
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.reasons import Reason
from services.task.ports.cloud import Avatar, AvatarState
from tests.support.task import Call, Hold, Lost, ManualClock, ScriptedCloud
from tests.support.task_calls import (
    FINAL,
    OpenService,
    append,
    create,
    create_streaming,
    error_of,
    event,
    get,
    serving_tasks,
    stop,
    until,
    watching,
)


async def test_a_stopped_task_runs_nothing_and_says_what_it_cost(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    task = await create_streaming(tasks)
    stopped = await stop(tasks, task.task_id)
    assert stopped.state == pb.TASK_STATE_STOPPED
    assert stopped.stop_reason == pb.STOP_REASON_REQUESTED
    assert stopped.usage.stop_time == stopped.stop_time
    assert stopped.usage.billable_seconds == 1
    assert cloud.running == {}


async def test_stopping_again_is_a_success(tasks: TaskServiceStub, cloud: ScriptedCloud) -> None:
    task = await create_streaming(tasks)
    request = pb.StopTaskRequest(task_id=task.task_id, reason=pb.STOP_REASON_CLIENT_GONE)
    first = await tasks.StopTask(request)
    second = await tasks.StopTask(pb.StopTaskRequest(task_id=task.task_id))
    assert (first.replayed, second.replayed) == (False, True)
    assert first.task == second.task
    assert second.task.stop_reason == pb.STOP_REASON_CLIENT_GONE
    assert cloud.stops == [task.avatar_id]


async def test_simultaneous_stops_stop_once(tasks: TaskServiceStub, cloud: ScriptedCloud) -> None:
    task = await create_streaming(tasks)
    answers = await asyncio.gather(*(stop(tasks, task.task_id) for _ in range(10)))
    assert {answer.state for answer in answers} == {pb.TASK_STATE_STOPPED}
    assert cloud.stops == [task.avatar_id]


async def test_a_failed_task_stays_failed(tasks: TaskServiceStub, cloud: ScriptedCloud) -> None:
    cloud.starts_as = AvatarState.FAILED
    task = await create(tasks)
    await until(tasks, task.task_id, pb.TASK_STATE_FAILED)
    answer = await tasks.StopTask(pb.StopTaskRequest(task_id=task.task_id))
    assert (answer.replayed, answer.task.state) == (True, pb.TASK_STATE_FAILED)


async def test_stopping_while_the_order_is_out_stops_what_comes_of_it(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    creation = asyncio.ensure_future(create(tasks))
    await hold.reached.wait()
    [task] = (await tasks.ListTasks(pb.ListTasksRequest())).tasks
    async with watching(tasks, task.task_id) as updates:
        stopping = asyncio.ensure_future(stop(tasks, task.task_id))
        async for update in updates:
            if update.event.state_changed.task.state == pb.TASK_STATE_STOPPING:
                break
        hold.released.set()
    assert (await stopping).state == pb.TASK_STATE_STOPPED
    assert (await creation).task_id == task.task_id
    assert cloud.running == {}


@pytest.mark.parametrize("is_gone", [False, True])
async def test_stopping_makes_void_what_the_cloud_says_meanwhile(
    tasks: TaskServiceStub, cloud: ScriptedCloud, is_gone: bool
) -> None:
    hold = Hold()
    cloud.scripts[Call.GET].append(hold)
    with capture_logs() as entries:
        task = await create(tasks)
        await hold.reached.wait()
        async with watching(tasks, task.task_id, after=2) as updates:
            await anext(updates)
            stopping = asyncio.ensure_future(stop(tasks, task.task_id))
            await anext(updates)
            if is_gone:
                del cloud.running[task.avatar_id]
            hold.released.set()
        stopped = await stopping
    assert stopped.state == pb.TASK_STATE_STOPPED
    assert stopped.stop_reason == pb.STOP_REASON_REQUESTED
    assert [entry for entry in entries if entry["log_level"] == "error"] == []


async def test_stopping_after_a_lost_order_finds_what_runs(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    cloud.scripts[Call.START].append(Lost.DONE)
    await error_of(create(tasks))
    [task] = (await tasks.ListTasks(pb.ListTasksRequest())).tasks
    stopped = await stop(tasks, task.task_id)
    assert stopped.state == pb.TASK_STATE_STOPPED
    assert cloud.running == {}


async def test_stopping_after_an_order_that_never_came_costs_nothing(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    cloud.scripts[Call.START].append(Lost.UNDONE)
    await error_of(create(tasks))
    [task] = (await tasks.ListTasks(pb.ListTasksRequest())).tasks
    assert (await stop(tasks, task.task_id)).state == pb.TASK_STATE_STOPPING
    clock.advance(46)
    final = await until(tasks, task.task_id, *FINAL)
    assert final.state == pb.TASK_STATE_STOPPED
    assert not final.HasField("usage")


@pytest.mark.parametrize("lost", [Lost.UNDONE, Lost.DONE])
async def test_a_stop_without_an_answer_is_tried_again(
    open_service: OpenService, cloud: ScriptedCloud, lost: Lost
) -> None:
    tasks = await open_service()
    task = await create_streaming(tasks)
    hold = Hold()
    cloud.scripts[Call.STOP].extend([lost, lost, lost, hold])
    assert (await stop(tasks, task.task_id)).state == pb.TASK_STATE_STOPPING
    await hold.reached.wait()
    assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STOPPING
    hold.released.set()
    assert (await until(tasks, task.task_id, *FINAL)).state == pb.TASK_STATE_STOPPED
    assert cloud.running == {}


@pytest.mark.parametrize("other", [{"reason": pb.STOP_REASON_IDLE}, {"task_id": "task_other"}])
async def test_a_stop_id_belongs_to_one_stop(
    tasks: TaskServiceStub, other: dict[str, object]
) -> None:
    task = await create_streaming(tasks)
    request = pb.StopTaskRequest(request_id=str(uuid.uuid4()), task_id=task.task_id)
    assert not (await tasks.StopTask(request)).replayed
    assert (await tasks.StopTask(request)).replayed
    changed = {"task_id": request.task_id, "request_id": request.request_id, **other}
    error = await error_of(tasks.StopTask(pb.StopTaskRequest(**changed)))  # type: ignore[arg-type]
    assert error.reason in (Reason.REQUEST_ID_REUSED, Reason.TASK_NOT_FOUND)
    assert (error.reason is Reason.TASK_NOT_FOUND) == ("task_id" in other)


async def test_a_task_ends_when_its_time_is_over(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    task = await create_streaming(tasks)
    clock.advance(1801)
    final = await until(tasks, task.task_id, *FINAL)
    assert final.stop_reason == pb.STOP_REASON_EXPIRED
    assert cloud.stops == [task.avatar_id]


@pytest.mark.parametrize(
    ("silence_s", "reason", "billed_s"),
    [
        (10, pb.STOP_REASON_CLOUD, range(111, 113)),
        (125, pb.STOP_REASON_IDLE, range(221, 222)),
    ],
)
async def test_what_the_cloud_ended_is_told_with_its_reason(
    open_service: OpenService,
    cloud: ScriptedCloud,
    silence_s: float,
    reason: pb.StopReason.ValueType,
    billed_s: range,
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    task = await create_streaming(tasks)
    clock.advance(100)
    finished = event(1, 1, turn_finished=conversation_pb2.TurnFinished())
    await append(tasks, task.task_id, finished)
    clock.advance(silence_s)
    del cloud.running[task.avatar_id]
    refreshed = await tasks.RefreshTask(pb.RefreshTaskRequest(avatar_id=task.avatar_id))
    assert refreshed.task.state == pb.TASK_STATE_STOPPED
    assert refreshed.task.stop_reason == reason
    assert refreshed.task.usage.billable_seconds in billed_s


async def test_the_sweep_sees_what_the_cloud_no_longer_lists(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    tasks = await open_service()
    gone, kept = await create_streaming(tasks, "gone"), await create_streaming(tasks, "kept")
    del cloud.running[gone.avatar_id]
    assert (await until(tasks, gone.task_id, *FINAL)).stop_reason == pb.STOP_REASON_CLOUD
    assert (await get(tasks, kept.task_id)).state == pb.TASK_STATE_STREAMING


@pytest.mark.parametrize("state", [AvatarState.STREAMING, AvatarState.UNKNOWN])
async def test_a_refresh_changes_nothing_that_is_true(
    tasks: TaskServiceStub, cloud: ScriptedCloud, state: AvatarState
) -> None:
    task = await create_streaming(tasks)
    cloud.move(task.avatar_id, state)
    refreshed = await tasks.RefreshTask(pb.RefreshTaskRequest(task_id=task.task_id))
    assert refreshed.task.state == pb.TASK_STATE_STREAMING


async def test_a_refresh_with_a_silent_cloud_tells_what_is_known(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    task = await create_streaming(tasks)
    cloud.scripts[Call.GET].append(Lost.UNDONE)
    refreshed = await tasks.RefreshTask(pb.RefreshTaskRequest(task_id=task.task_id))
    assert refreshed.task.state == pb.TASK_STATE_STREAMING


async def test_avatars_of_others_are_left_alone(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    tasks = await open_service()
    theirs = [
        Avatar(avatar_id="a", state=AvatarState.STREAMING, room_id="room", stream_id="theirs"),
        Avatar(avatar_id="b", state=AvatarState.STREAMING, room_id="other", stream_id="stream"),
    ]
    task = await create_streaming(tasks)
    await stop(tasks, task.task_id)
    for avatar in theirs:
        cloud.put(avatar)
    ours = Avatar(avatar_id="c", state=AvatarState.STREAMING, room_id="room", stream_id="stream")
    hold = Hold()
    cloud.scripts[Call.STOP].append(hold)
    cloud.put(ours)
    await hold.reached.wait()
    assert cloud.stops == [task.avatar_id, "c"]


async def test_a_restart_goes_on_where_the_crash_was(cloud: ScriptedCloud, tmp_path: Path) -> None:
    cloud.starts_as = AvatarState.STARTING
    database = tmp_path / "shared.sqlite3"
    request = pb.CreateTaskRequest(request_id=str(uuid.uuid4()), room_id="room", stream_id="stream")
    async with serving_tasks(cloud, database=database) as tasks:
        starting = (await tasks.CreateTask(request)).task
        stopping = await create(tasks, "other")
        cloud.scripts[Call.STOP].extend([Lost.UNDONE] * 1000)
        assert (await stop(tasks, stopping.task_id)).state == pb.TASK_STATE_STOPPING
    cloud.scripts[Call.STOP].clear()
    cloud.starts_as = AvatarState.STREAMING
    cloud.move(starting.avatar_id, AvatarState.STREAMING)
    async with serving_tasks(cloud, database=database) as tasks:
        answer = await tasks.CreateTask(request)
        assert (answer.replayed, answer.task.task_id) == (True, starting.task_id)
        await until(tasks, starting.task_id, pb.TASK_STATE_STREAMING)
        assert (await until(tasks, stopping.task_id, *FINAL)).state == pb.TASK_STATE_STOPPED
    assert list(cloud.running) == [starting.avatar_id]
