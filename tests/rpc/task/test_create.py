"""CreateTask: recorded first, ordered once, and reported truthfully."""

import asyncio
import uuid
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.caller import Caller, to_metadata
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import is_task_id
from services.task.ports.cloud import Avatar, AvatarState
from tests.support.task import Call, Hold, Lost, ManualClock, ScriptedCloud
from tests.support.task_calls import (
    FINAL,
    OpenService,
    create,
    create_streaming,
    error_of,
    get,
    stop,
    until,
    watching,
)

REFUSALS = (
    Reason.AVATAR_CAPACITY_EXCEEDED,
    Reason.CLOUD_BUSY,
    Reason.CLOUD_CLOCK_SKEW,
    Reason.CLOUD_CREDENTIALS_REJECTED,
    Reason.CLOUD_NO_CAPACITY,
    Reason.CLOUD_NOT_ENABLED,
    Reason.CLOUD_RATE_LIMITED,
    Reason.CLOUD_REQUEST_REJECTED,
    Reason.CREDENTIALS_INVALID,
    Reason.DIGITAL_HUMAN_MISCONFIGURED,
    Reason.DIGITAL_HUMAN_NOT_FOUND,
    Reason.INVALID_REQUEST,
    Reason.STREAM_IN_USE,
)
"""Errors with which the cloud certainly accepted no order."""


def request(**fields: object) -> pb.CreateTaskRequest:
    values = {"room_id": "room", "stream_id": "stream", **fields}
    return pb.CreateTaskRequest(**values)  # type: ignore[arg-type]


async def all_tasks(tasks: TaskServiceStub) -> list[pb.Task]:
    return list((await tasks.ListTasks(pb.ListTasksRequest())).tasks)


async def test_the_task_is_as_it_was_ordered(tasks: TaskServiceStub, cloud: ScriptedCloud) -> None:
    task = await create(
        tasks,
        digital_human_id="mia",
        persona_id="guide",
        language_code="zh-CN",
        user_id="ann",
        max_duration=Duration(seconds=60, nanos=1),
        max_idle_duration=Duration(seconds=30),
        background_color="#102030",
    )
    assert is_task_id(task.task_id)
    assert task.state == pb.TASK_STATE_STARTING
    assert (task.room_id, task.stream_id, task.digital_human_id) == ("room", "stream", "mia")
    assert (task.persona_id, task.language_code, task.user_id) == ("guide", "zh-CN", "ann")
    assert task.background_color == "#102030"
    assert task.avatar_id in cloud.running
    assert (task.max_duration.seconds, task.max_duration.nanos) == (61, 0)
    assert task.usage.billable_seconds == 1
    assert not task.HasField("start_time")
    assert await get(tasks, task.task_id)


async def test_the_cloud_is_always_told_when_to_end(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    task = await create(tasks)
    assert (task.max_duration.seconds, task.max_idle_duration.seconds) == (1800, 120)
    assert task.digital_human_id == "default-human"
    [order] = cloud.orders
    assert order.max_duration.total_seconds() == 1800
    assert order.max_idle_duration.total_seconds() == 120


async def test_it_comes_on_air_when_the_cloud_says_so(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    cloud.starts_as = AvatarState.STARTING
    task = await create(tasks)
    assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STARTING
    cloud.move(task.avatar_id, AvatarState.STREAMING)
    task = await until(tasks, task.task_id, pb.TASK_STATE_STREAMING)
    assert task.HasField("start_time")


async def test_the_row_is_there_before_the_cloud_is_asked(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    creation = asyncio.ensure_future(tasks.CreateTask(request()))
    await hold.reached.wait()
    [task] = await all_tasks(tasks)
    assert task.state == pb.TASK_STATE_CREATING
    hold.released.set()
    assert (await creation).task.task_id == task.task_id


@pytest.mark.parametrize("reason", REFUSALS)
async def test_a_refusal_is_passed_on_and_recorded(
    tasks: TaskServiceStub, cloud: ScriptedCloud, reason: Reason
) -> None:
    cloud.scripts[Call.START].append(reason)
    error = await error_of(tasks.CreateTask(request()))
    assert (error.reason, error.message) == (reason, f"scripted: {reason}")
    [task] = await all_tasks(tasks)
    assert task.state == pb.TASK_STATE_FAILED
    assert task.failure.message == error.message
    assert not task.HasField("usage")
    await create(tasks)


async def test_a_refused_request_may_be_repeated(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    request_id = str(uuid.uuid4())
    cloud.scripts[Call.START].append(Reason.CLOUD_BUSY)
    await error_of(tasks.CreateTask(request(request_id=request_id)))
    answer = await tasks.CreateTask(request(request_id=request_id))
    assert not answer.replayed
    assert answer.task.state == pb.TASK_STATE_STARTING


@pytest.mark.parametrize(
    "reason",
    [
        Reason.DEADLINE_EXCEEDED,
        Reason.DEPENDENCY_UNAVAILABLE,
        Reason.CLOUD_UNREACHABLE,
        Reason.CLOUD_ERROR,
    ],
)
async def test_without_a_clear_answer_the_task_waits_for_the_truth(
    tasks: TaskServiceStub, cloud: ScriptedCloud, reason: Reason
) -> None:
    cloud.scripts[Call.START].append(reason)
    error = await error_of(tasks.CreateTask(request()))
    assert error.reason is reason
    [task] = await all_tasks(tasks)
    assert task.state == pb.TASK_STATE_CREATING
    assert (await error_of(tasks.CreateTask(request()))).reason is Reason.STREAM_IN_USE


async def test_an_order_that_was_lost_fails_once_it_must_have_landed(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    cloud.scripts[Call.START].append(Lost.UNDONE)
    await error_of(tasks.CreateTask(request()))
    [task] = await all_tasks(tasks)
    refreshed = await tasks.RefreshTask(pb.RefreshTaskRequest(task_id=task.task_id))
    assert refreshed.task.state == pb.TASK_STATE_CREATING
    clock.advance(46)
    task = await until(tasks, task.task_id, *FINAL)
    assert task.state == pb.TASK_STATE_FAILED
    await create(tasks)


async def test_a_repeated_request_adopts_what_the_cloud_did_without_an_answer(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    request_id = str(uuid.uuid4())
    cloud.scripts[Call.START].append(Lost.DONE)
    await error_of(tasks.CreateTask(request(request_id=request_id)))
    answer = await tasks.CreateTask(request(request_id=request_id))
    assert answer.replayed
    assert answer.task.avatar_id in cloud.running
    await until(tasks, answer.task.task_id, pb.TASK_STATE_STREAMING)
    assert len(cloud.orders) == 1


async def test_an_avatar_that_nobody_was_told_of_is_stopped(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    tasks = await open_service()
    cloud.scripts[Call.START].append(Lost.DONE)
    await error_of(tasks.CreateTask(request()))
    [task] = await all_tasks(tasks)
    task = await until(tasks, task.task_id, *FINAL)
    assert task.state == pb.TASK_STATE_STOPPED
    assert task.stop_reason == pb.STOP_REASON_RECONCILED
    assert cloud.running == {}


async def test_an_order_that_lands_after_its_task_failed_is_stopped(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    cloud.scripts[Call.START].append(Lost.LATE)
    await error_of(tasks.CreateTask(request()))
    clock.advance(46)
    [task] = await all_tasks(tasks)
    await until(tasks, task.task_id, pb.TASK_STATE_FAILED)
    hold = Hold()
    cloud.scripts[Call.STOP].append(hold)
    cloud.land()
    await hold.reached.wait()
    assert cloud.stops == list(cloud.running)


async def test_simultaneous_repetitions_share_one_task(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    repeated = request(request_id=str(uuid.uuid4()))
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    calls = [asyncio.ensure_future(tasks.CreateTask(repeated)) for _ in range(20)]
    await hold.reached.wait()
    hold.released.set()
    answers = await asyncio.gather(*calls)
    assert len({answer.task.task_id for answer in answers}) == 1
    assert {answer.task.state for answer in answers} <= {
        pb.TASK_STATE_STARTING,
        pb.TASK_STATE_STREAMING,
    }
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 19
    assert len(cloud.orders) == len(await all_tasks(tasks)) == 1


async def test_simultaneous_repetitions_share_one_failure(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    repeated = request(request_id=str(uuid.uuid4()))
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    cloud.put(
        Avatar(avatar_id="theirs", state=AvatarState.STREAMING, room_id="other", stream_id="stream")
    )
    first = asyncio.ensure_future(error_of(tasks.CreateTask(repeated)))
    await hold.reached.wait()
    second = asyncio.ensure_future(error_of(tasks.CreateTask(repeated)))
    # An answered call proves that the second one, sent before it, has arrived as well.
    await all_tasks(tasks)
    hold.released.set()
    errors = await asyncio.gather(first, second)
    assert {error.reason for error in errors} == {Reason.STREAM_IN_USE}
    assert len(cloud.orders) == 1


async def test_a_caller_who_goes_away_leaves_no_avatar_behind(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    call = tasks.CreateTask(request())
    creation = asyncio.ensure_future(call)
    await hold.reached.wait()
    call.cancel()
    await asyncio.gather(creation, return_exceptions=True)
    [task] = await all_tasks(tasks)
    async with watching(tasks, task.task_id) as updates:
        await anext(updates)
        hold.released.set()
        final = [update async for update in updates][-1].event.state_changed.task
    assert final.stop_reason == pb.STOP_REASON_CLIENT_GONE
    assert cloud.running == {}


async def test_a_caller_who_can_ask_again_finds_the_task(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    repeated = request(request_id=str(uuid.uuid4()))
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    call = tasks.CreateTask(repeated)
    creation = asyncio.ensure_future(call)
    await hold.reached.wait()
    call.cancel()
    await asyncio.gather(creation, return_exceptions=True)
    hold.released.set()
    answer = await tasks.CreateTask(repeated)
    assert answer.replayed
    assert len(cloud.orders) == len(cloud.running) == 1


async def test_a_stream_belongs_to_one_live_task(tasks: TaskServiceStub) -> None:
    task = await create(tasks)
    error = await error_of(create(tasks))
    assert (error.reason, error.metadata) == (Reason.STREAM_IN_USE, {"stream_id": "stream"})
    await stop(tasks, task.task_id)
    assert (await create(tasks)).task_id != task.task_id


@pytest.mark.parametrize("field", ["max_duration", "max_idle_duration"])
async def test_nobody_orders_more_than_the_deployment_allows(
    open_service: OpenService, cloud: ScriptedCloud, field: str
) -> None:
    tasks = await open_service(longest_duration_s=600, max_duration_s=600)
    task = await create(tasks, "one", **{field: Duration(seconds=600)})
    assert getattr(task, field).seconds == 600
    error = await error_of(create(tasks, "two", **{field: Duration(seconds=601)}))
    assert error.reason is Reason.INVALID_REQUEST
    assert [(each.field, each.rule) for each in error.violations] == [(field, "duration.longest")]
    assert len(cloud.orders) == 1


async def test_a_tenant_orders_no_more_than_its_quota_allows(
    open_service: OpenService, tmp_path: Path
) -> None:
    file = tmp_path / "tenants.toml"
    file.write_text("[tenants.small]\nlongest_task_s = 60\n", encoding="utf-8")
    tasks = await open_service(tenants_file=file)
    of_small = to_metadata(Caller(tenant_id="small"))
    order = pb.CreateTaskRequest(room_id="room", stream_id="one")
    task = (await tasks.CreateTask(order, metadata=of_small)).task
    assert task.max_duration.seconds == 60
    order = pb.CreateTaskRequest(room_id="room", stream_id="two", max_duration=Duration(seconds=61))
    error = await error_of(tasks.CreateTask(order, metadata=of_small))
    assert error.reason is Reason.INVALID_REQUEST
    assert (await tasks.CreateTask(order)).task.max_duration.seconds == 61


async def test_quotas_count_what_lives(open_service: OpenService) -> None:
    tasks = await open_service(max_running=3, max_running_per_user=2)
    first = await create(tasks, "one", user_id="ann")
    await create(tasks, "two", user_id="ann")
    error = await error_of(create(tasks, "three", user_id="ann"))
    assert error.reason is Reason.QUOTA_EXCEEDED
    await create(tasks, "three", user_id="bob")
    waits = []
    for _ in range(3):
        error = await error_of(create(tasks, "four", user_id="cid"))
        assert error.reason is Reason.CAPACITY_EXCEEDED
        waits.append(error.retry_after_s or 0.0)
    assert 2 <= waits[0] < waits[1] < waits[2]
    await stop(tasks, first.task_id)
    await create(tasks, "four", user_id="ann")


@pytest.mark.parametrize("state", [AvatarState.FAILED, AvatarState.STOPPED])
async def test_an_avatar_that_fails_to_start_fails_its_task(
    tasks: TaskServiceStub, cloud: ScriptedCloud, state: AvatarState
) -> None:
    cloud.starts_as = state
    task = await create(tasks)
    task = await until(tasks, task.task_id, *FINAL)
    assert task.state == pb.TASK_STATE_FAILED
    assert task.failure.message == "The avatar did not come on air."
    assert cloud.running == {}


@pytest.mark.parametrize("is_silent", [False, True])
async def test_an_avatar_that_never_starts_is_stopped_in_time(
    open_service: OpenService, cloud: ScriptedCloud, is_silent: bool
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    cloud.starts_as = AvatarState.STARTING
    if is_silent:
        cloud.scripts[Call.GET].extend([Lost.UNDONE] * 1000)
    task = await create(tasks)
    clock.advance(61)
    task = await until(tasks, task.task_id, *FINAL)
    assert task.state == pb.TASK_STATE_FAILED
    assert cloud.running == {}


async def test_a_silent_cloud_does_not_end_the_watch_over_a_start(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    cloud.scripts[Call.GET].extend([Lost.UNDONE, Reason.CLOUD_ERROR])
    assert await create_streaming(tasks)


async def test_avatars_that_start_together_are_listed_and_not_asked_for_one_by_one(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    cloud.starts_as = AvatarState.STARTING
    started = [await create(tasks, f"stream-{number}") for number in range(10)]
    asked = cloud.calls[Call.GET]
    for task in started:
        cloud.move(task.avatar_id, AvatarState.STREAMING)
    for task in started:
        await until(tasks, task.task_id, pb.TASK_STATE_STREAMING)
    assert cloud.calls[Call.LIST] > 0
    # The last one may be alone.
    assert cloud.calls[Call.GET] <= asked + 1


async def test_an_order_made_before_is_found_and_none_is_made(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    order = request(request_id=str(uuid.uuid4()))
    find = pb.FindCreatedTaskRequest(request=order)
    error = await error_of(tasks.FindCreatedTask(find))
    assert error.reason is Reason.TASK_NOT_FOUND
    assert not cloud.running
    created = await tasks.CreateTask(order)
    assert (await tasks.FindCreatedTask(find)).task.task_id == created.task.task_id
    other = request(request_id=order.request_id, stream_id="other")
    error = await error_of(tasks.FindCreatedTask(pb.FindCreatedTaskRequest(request=other)))
    assert error.reason is Reason.REQUEST_ID_REUSED
    unnamed = pb.FindCreatedTaskRequest(request=request())
    assert (await error_of(tasks.FindCreatedTask(unnamed))).reason is Reason.TASK_NOT_FOUND


async def test_the_default_digital_human_is_not_part_of_the_request(
    tasks: TaskServiceStub,
) -> None:
    request_id = str(uuid.uuid4())
    first = await tasks.CreateTask(request(request_id=request_id, default_digital_human_id="elin"))
    assert first.task.digital_human_id == "elin"
    again = await tasks.CreateTask(request(request_id=request_id, default_digital_human_id="yuna"))
    assert (again.replayed, again.task.task_id) == (True, first.task.task_id)
    named = await create(tasks, "other", digital_human_id="mia", default_digital_human_id="elin")
    assert named.digital_human_id == "mia"
