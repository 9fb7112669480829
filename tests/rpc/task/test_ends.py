"""Tasks end when their clients are gone, and when their users' budgets are used up."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.caller import Caller, to_metadata
from services.runtime.failures.reasons import Reason
from tests.support.task import Call, Lost, ManualClock, ScriptedCloud
from tests.support.task_calls import (
    OpenService,
    create,
    create_streaming,
    error_of,
    get,
    serving_tasks,
    until,
    watching,
)

MINUTE = Duration(seconds=60)


async def reconcile(tasks: TaskServiceStub, *, dry_run: bool = False) -> list[pb.Finding]:
    answer = await tasks.Reconcile(pb.ReconcileRequest(dry_run=dry_run))
    return list(answer.findings)


async def until_in(
    tasks: TaskServiceStub, stream_id: str, state: pb.TaskState.ValueType
) -> pb.Task:
    """Wait until a task is in a state without a sign that its client is there."""
    request = pb.ListTasksRequest(states=[state])
    while True:
        for task in (await tasks.ListTasks(request)).tasks:
            if task.stream_id == stream_id:
                return task
        await asyncio.sleep(0.05)


async def until_ended(tasks: TaskServiceStub, stream_id: str) -> pb.Task:
    return await until_in(tasks, stream_id, pb.TASK_STATE_STOPPED)


async def unattended(tasks: TaskServiceStub, stream_id: str) -> pb.Task:
    """Put a task on air that ends when its client is gone for a minute."""
    await create(tasks, stream_id, max_absence=MINUTE)
    return await until_in(tasks, stream_id, pb.TASK_STATE_STREAMING)


async def test_a_task_whose_client_is_gone_is_stopped(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    left = await unattended(tasks, "left")
    assert left.max_absence == MINUTE
    alone = await create_streaming(tasks, "alone")
    clock.advance(76)
    ended = await until_ended(tasks, "left")
    assert ended.stop_reason == pb.STOP_REASON_CLIENT_GONE
    assert (await get(tasks, alone.task_id)).state == pb.TASK_STATE_STREAMING
    assert [avatar.stream_id for avatar in cloud.running.values()] == ["alone"]


@pytest.mark.parametrize("sign", ["watch", "get", "conversation", "note"])
async def test_a_client_that_is_there_keeps_its_task(
    open_service: OpenService, sign: str, tmp_path: Path
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    kept = await unattended(tasks, "kept")
    await unattended(tasks, "left")
    clock.advance(70)
    match sign:
        case "watch":
            async with watching(tasks, kept.task_id) as updates:
                await anext(updates)
        case "get":
            await get(tasks, kept.task_id)
        case "conversation":
            await tasks.GetConversation(pb.GetConversationRequest(task_id=kept.task_id))
        case "note":
            await tasks.NoteClients(pb.NoteClientsRequest(task_ids=[kept.task_id, "task_unknown"]))
    await until_noted(tmp_path / "tasks.sqlite3", kept.task_id)
    clock.advance(6)
    ended = await until_ended(tasks, "left")
    assert ended.stop_reason == pb.STOP_REASON_CLIENT_GONE
    assert (await get(tasks, kept.task_id)).state == pb.TASK_STATE_STREAMING


async def until_noted(database: Path, task_id: str) -> None:
    """Wait until it is written down that the client of a task came back."""
    with closing(sqlite3.connect(database)) as connection:
        while True:
            [[created, seen]] = connection.execute(
                "SELECT create_time, seen_time FROM tasks WHERE task_id = ?", [task_id]
            )
            if seen - created > 60_000_000:
                return
            await asyncio.sleep(0.05)


async def test_a_restart_gives_clients_time_to_come_back(
    cloud: ScriptedCloud, tmp_path: Path
) -> None:
    clock = ManualClock()
    database = tmp_path / "tasks.sqlite3"
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        task = await unattended(tasks, "stream")
    clock.advance(600)
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        assert await reconcile(tasks) == []
        clock.advance(76)
        [finding] = await reconcile(tasks)
        assert (finding.action, finding.task_id) == (pb.FINDING_ACTION_STOP_TASK, task.task_id)
        await until_ended(tasks, "stream")


async def test_a_task_ends_with_its_users_budget(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600, budget_user_seconds=100)
    mine = [await create_streaming(tasks, name, user_id="ann") for name in ("one", "two")]
    other = await create_streaming(tasks, "other", user_id="bob")
    assert cloud.orders[0].lifetime.total_seconds() == 100
    clock.advance(55)
    for task in mine:
        ended = await until(tasks, task.task_id, pb.TASK_STATE_STOPPED)
        assert ended.stop_reason == pb.STOP_REASON_BUDGET
    assert (await get(tasks, other.task_id)).state == pb.TASK_STATE_STREAMING
    error = await error_of(create(tasks, "three", user_id="ann"))
    assert error.reason is Reason.BUDGET_EXCEEDED
    assert error.retry_after_s is not None
    assert (await create(tasks, "three")).state == pb.TASK_STATE_STARTING


async def test_what_is_left_of_a_budget_ends_the_next_task(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    """The cloud is told, so that it holds even while nobody looks."""
    clock = ManualClock()
    tasks = await open_service(clock=clock, budget_user_seconds=100)
    first = await create_streaming(tasks, "first", user_id="ann")
    clock.advance(60)
    await tasks.StopTask(pb.StopTaskRequest(task_id=first.task_id))
    second = await create_streaming(tasks, "second", user_id="ann")
    assert 38 <= cloud.orders[-1].lifetime.total_seconds() <= 40
    assert second.max_duration.seconds == 1800
    clock.advance(41)
    ended = await until(tasks, second.task_id, pb.TASK_STATE_STOPPED)
    assert ended.stop_reason == pb.STOP_REASON_BUDGET


async def test_a_dry_run_tells_what_would_be_done_and_does_nothing(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    lost = await create_streaming(tasks, "lost")
    stray = await create_streaming(tasks, "stray")
    avatar = cloud.running[stray.avatar_id]
    await tasks.StopTask(pb.StopTaskRequest(task_id=stray.task_id))
    cloud.put(avatar)
    del cloud.running[lost.avatar_id]
    found = {each.stream_id: each for each in await reconcile(tasks, dry_run=True)}
    assert found.keys() == {"lost", "stray"}
    assert found["lost"].action == pb.FINDING_ACTION_CHECK_TASK
    assert found["stray"].action == pb.FINDING_ACTION_STOP_AVATAR
    assert found["stray"].avatar_id == avatar.avatar_id
    assert all(each.reason for each in found.values())
    assert (await get(tasks, lost.task_id)).state == pb.TASK_STATE_STREAMING
    assert avatar.avatar_id in cloud.running
    await reconcile(tasks)
    await until(tasks, lost.task_id, pb.TASK_STATE_STOPPED)
    assert await reconcile(tasks, dry_run=True) == []
    assert avatar.avatar_id not in cloud.running


async def test_a_cloud_that_does_not_list_is_no_difference(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    tasks = await open_service(sweep_interval_s=3600)
    await create_streaming(tasks)
    cloud.scripts[Call.LIST].append(Lost.UNDONE)
    error = await error_of(tasks.Reconcile(pb.ReconcileRequest(dry_run=True)))
    assert error.reason is Reason.DEADLINE_EXCEEDED


@pytest.fixture
def tenants_file(tmp_path: Path) -> Path:
    file = tmp_path / "tenants.toml"
    text = "[tenants.small]\nminutes_per_day = 1\n[tenants.closed]\nminutes_per_day = 0\n"
    file.write_text(text, encoding="utf-8")
    return file


async def test_tasks_end_with_the_day_of_their_tenant(
    open_service: OpenService, tenants_file: Path
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600, tenants_file=tenants_file)
    other = await create_streaming(tasks, "other")
    small = to_metadata(Caller(tenant_id="small"))
    order = pb.CreateTaskRequest(room_id="room", stream_id="one")
    mine = (await tasks.CreateTask(order, metadata=small)).task
    watch = pb.WatchTaskRequest(task_id=mine.task_id, after_sequence=0)
    clock.advance(61)
    async for update in tasks.WatchTask(watch, metadata=small):
        ended = update.event.state_changed.task
        if ended.state == pb.TASK_STATE_STOPPED:
            break
    assert ended.stop_reason == pb.STOP_REASON_QUOTA
    assert (await get(tasks, other.task_id)).state == pb.TASK_STATE_STREAMING


async def test_a_tenant_without_a_day_is_told_when_the_next_one_begins(
    open_service: OpenService, cloud: ScriptedCloud, tenants_file: Path
) -> None:
    tasks = await open_service(tenants_file=tenants_file)
    order = pb.CreateTaskRequest(room_id="room", stream_id="one")
    closed = to_metadata(Caller(tenant_id="closed"))
    error = await error_of(tasks.CreateTask(order, metadata=closed))
    assert error.reason is Reason.BUDGET_EXCEEDED
    assert 0 < (error.retry_after_s or 0) <= 86_400
    assert not cloud.orders
