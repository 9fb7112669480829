"""Tenants side by side in one task service: each has its own tasks, names, keys, costs and ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from digitalhuman.conversation.v1.conversation_pb2 import TurnStarted
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.caller import Caller, of_tenant, to_metadata
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.wire import to_timestamp
from services.task.ports.cloud import AvatarState
from tests.support.task import Call, Hold, ManualClock, ScriptedCloud
from tests.support.task_calls import OpenService, error_of, event

ACME = of_tenant("acme")
ZOO = of_tenant("zoo")
NOBODY = Caller()
ANN = Caller(tenant_id="acme", user_id="ann")
BOB = Caller(tenant_id="acme", user_id="bob")
REQUEST_ID = "5f0c7a52-8d3e-4a6b-9a57-0f4b8c2d1e90"


async def create(
    tasks: TaskServiceStub, caller: Caller, stream_id: str = "stream", **fields: Any
) -> pb.Task:
    request = pb.CreateTaskRequest(room_id="room", stream_id=stream_id, **fields)
    return (await tasks.CreateTask(request, metadata=to_metadata(caller))).task


async def refusal(
    tasks: TaskServiceStub, caller: Caller, **fields: Any
) -> tuple[Reason, list[str]]:
    """Return why an order is refused, and which fields are at fault."""
    request = pb.CreateTaskRequest(**{"room_id": "room", "stream_id": "stream", **fields})
    error: ServiceError = await error_of(tasks.CreateTask(request, metadata=to_metadata(caller)))
    return error.reason, [each.field for each in error.violations]


async def listed(tasks: TaskServiceStub, caller: Caller, **fields: Any) -> list[pb.Task]:
    request = pb.ListTasksRequest(**fields)
    return list((await tasks.ListTasks(request, metadata=to_metadata(caller))).tasks)


async def until(tasks: TaskServiceStub, caller: Caller, state: pb.TaskState.ValueType) -> pb.Task:
    """Wait until a task of a caller is in a state, without a sign that its client is there."""
    while True:
        found = await listed(tasks, caller, states=[state])
        if found:
            return found[0]
        await asyncio.sleep(0.05)


async def test_names_in_the_cloud_begin_with_their_tenant(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    made = [await create(tasks, caller) for caller in (ACME, ZOO, NOBODY)]
    names = [(each.tenant_id, each.room_id, each.stream_id) for each in made]
    assert names == [
        ("acme", "t__acme__room", "t__acme__stream"),
        ("zoo", "t__zoo__room", "t__zoo__stream"),
        ("default", "room", "stream"),
    ]
    assert [(each.room_id, each.stream_id) for each in cloud.orders] == [
        (each.room_id, each.stream_id) for each in made
    ]


async def test_a_stream_in_use_is_one_of_the_tenant(tasks: TaskServiceStub) -> None:
    await create(tasks, ACME)
    for stream_id in ("stream", "t__acme__stream"):
        assert await refusal(tasks, ACME, stream_id=stream_id) == (Reason.STREAM_IN_USE, [])


@pytest.mark.parametrize("caller", [NOBODY, ZOO], ids=["default", "zoo"])
@pytest.mark.parametrize("field", ["room_id", "stream_id"])
async def test_names_of_another_tenant_are_refused(
    tasks: TaskServiceStub, caller: Caller, field: str
) -> None:
    refused = await refusal(tasks, caller, **{field: "t__acme__name"})
    assert refused == (Reason.INVALID_REQUEST, [field])


async def test_a_name_is_as_long_as_the_cloud_takes_it(tasks: TaskServiceStub) -> None:
    longest = "s" * (128 - len("t__acme__"))
    assert (await create(tasks, ACME, longest)).stream_id == f"t__acme__{longest}"
    refused = await refusal(tasks, ACME, stream_id=f"{longest}s")
    assert refused == (Reason.INVALID_REQUEST, ["stream_id"])


async def test_the_same_call_of_two_tenants_makes_two_tasks(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    first = asyncio.create_task(create(tasks, ACME, request_id=REQUEST_ID))
    await hold.reached.wait()
    second = await create(tasks, ZOO, request_id=REQUEST_ID)
    hold.released.set()
    made = {(await first).task_id, second.task_id}
    assert len(made) == 2
    for caller in (ACME, ZOO):
        assert (await create(tasks, caller, request_id=REQUEST_ID)).task_id in made
    assert len(cloud.orders) == 2


async def test_a_user_makes_tasks_of_its_own(tasks: TaskServiceStub) -> None:
    assert (await create(tasks, ANN)).user_id == "ann"
    assert (await create(tasks, ANN, "another", user_id="ann")).user_id == "ann"
    refused = await refusal(tasks, ANN, stream_id="third", user_id="bob")
    assert refused == (Reason.INVALID_REQUEST, ["user_id"])


async def test_a_user_repeats_its_own_calls(tasks: TaskServiceStub) -> None:
    made = await create(tasks, ANN, request_id=REQUEST_ID)
    for caller, fields in ((ANN, {}), (ACME, {"user_id": "ann"})):
        again = await create(tasks, caller, request_id=REQUEST_ID, **fields)
        assert again.task_id == made.task_id
    refused = await refusal(tasks, BOB, request_id=REQUEST_ID)
    assert refused == (Reason.REQUEST_ID_REUSED, [])


async def test_lists_have_what_the_caller_sees(tasks: TaskServiceStub) -> None:
    made = await create(tasks, ANN)
    for caller, expected in ((ACME, 1), (ANN, 1), (BOB, 0), (ZOO, 0), (NOBODY, 0)):
        for fields in ({}, {"user_id": "ann"}, {"avatar_id": made.avatar_id}):
            assert len(await listed(tasks, caller, **fields)) == expected


async def test_the_default_tenant_may_list_those_of_all(tasks: TaskServiceStub) -> None:
    made = [await create(tasks, caller) for caller in (ACME, ZOO, NOBODY)]
    made.append(await create(tasks, ANN, "another"))
    newest_first = [each.task_id for each in reversed(made)]
    found = await listed(tasks, NOBODY, every_tenant=True)
    assert [each.task_id for each in found] == newest_first
    assert {each.tenant_id for each in found} == {"acme", "zoo", "default"}
    anns = await listed(tasks, NOBODY, every_tenant=True, user_id="ann")
    assert [each.task_id for each in anns] == newest_first[:1]


@pytest.mark.parametrize("caller", [ACME, ANN, Caller(user_id="ann")])
async def test_nobody_else_lists_those_of_all(tasks: TaskServiceStub, caller: Caller) -> None:
    request = pb.ListTasksRequest(every_tenant=True)
    error: ServiceError = await error_of(tasks.ListTasks(request, metadata=to_metadata(caller)))
    assert error.reason is Reason.PERMISSION_DENIED


async def test_usage_is_that_of_the_tenant(tasks: TaskServiceStub) -> None:
    await create(tasks, ANN)
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    request = pb.ListUsageRequest(
        start_time=to_timestamp((day - timedelta(days=1)).timestamp()),
        end_time=to_timestamp((day + timedelta(days=2)).timestamp()),
    )
    for caller, expected in ((ACME, 1), (ANN, 1), (BOB, 0), (ZOO, 0), (NOBODY, 0)):
        answer = await tasks.ListUsage(request, metadata=to_metadata(caller))
        assert sum(row.tasks for row in answer.rows) == expected


async def test_a_history_is_one_of_the_callers(tasks: TaskServiceStub) -> None:
    made = await create(tasks, ACME)
    facts = pb.CallFacts(history=pb.CallHistory(task_id=made.task_id))
    refused = await refusal(tasks, ZOO, facts=facts)
    assert refused == (Reason.INVALID_REQUEST, ["facts.history.task_id"])
    assert await create(tasks, ACME, "next", facts=facts)


async def test_a_callback_refreshes_a_task_of_any_tenant_and_tells_only_its_own(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    cloud.starts_as = AvatarState.STARTING
    made = await create(tasks, ACME)
    hint = pb.RefreshTaskRequest(avatar_id=made.avatar_id)
    cloud.move(made.avatar_id, AvatarState.STREAMING)
    error = await error_of(tasks.RefreshTask(hint))
    assert error.reason is Reason.TASK_NOT_FOUND
    assert made.task_id not in (error.message, *error.metadata.values())
    [seen] = await listed(tasks, ACME)
    assert seen.state == pb.TASK_STATE_STREAMING
    refreshed = await tasks.RefreshTask(hint, metadata=to_metadata(ACME))
    assert refreshed.task.task_id == made.task_id


async def test_what_differs_is_told_to_its_tenant_and_all_of_it_to_the_default_one(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    await create(tasks, ANN, max_duration=Duration(seconds=60))
    await until(tasks, ACME, pb.TASK_STATE_STREAMING)
    clock.advance(61)
    request = pb.ReconcileRequest(dry_run=True)
    told = {}
    for name, caller in {"acme": ACME, "default": NOBODY, "zoo": ZOO, "ann": ANN}.items():
        answer = await tasks.Reconcile(request, metadata=to_metadata(caller))
        told[name] = [each.tenant_id for each in answer.findings]
    assert told == {"acme": ["acme"], "default": ["acme"], "zoo": [], "ann": ["acme"]}


async def test_sweeps_end_tasks_of_any_tenant(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    await create(tasks, ANN, max_duration=Duration(seconds=60))
    await until(tasks, ACME, pb.TASK_STATE_STREAMING)
    clock.advance(61)
    ended = await until(tasks, ACME, pb.TASK_STATE_STOPPED)
    assert ended.stop_reason == pb.STOP_REASON_EXPIRED
    assert not cloud.running


async def test_a_task_of_any_tenant_ends_without_its_client(open_service: OpenService) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    await create(tasks, ANN, max_absence=Duration(seconds=60))
    made = await until(tasks, ACME, pb.TASK_STATE_STREAMING)
    clock.advance(76)
    # Others who claim to be its client do not keep it.
    note = pb.NoteClientsRequest(task_ids=[made.task_id])
    for caller in (NOBODY, ZOO, BOB):
        await tasks.NoteClients(note, metadata=to_metadata(caller))
    ended = await until(tasks, ACME, pb.TASK_STATE_STOPPED)
    assert ended.stop_reason == pb.STOP_REASON_CLIENT_GONE


async def test_turns_that_nobody_closed_are_closed_for_their_tenant(
    open_service: OpenService,
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    made = await create(tasks, ACME)
    of_acme = to_metadata(ACME)
    started = event(1, 1, turn_started=TurnStarted(user_text="Hello?"))
    append = pb.AppendEventsRequest(task_id=made.task_id, events=[started])
    await tasks.AppendEvents(append, metadata=of_acme)
    await tasks.StopTask(pb.StopTaskRequest(task_id=made.task_id), metadata=of_acme)
    clock.advance(60)
    get = pb.GetTurnRequest(task_id=made.task_id, turn_id=1)
    while True:
        found = await tasks.GetTurn(get, metadata=of_acme)
        if found.turn.HasField("failure"):
            break
        await asyncio.sleep(0.05)
