"""Every way in which the task service refuses, by table."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.errors import from_rpc_error
from services.runtime.failures.reasons import Reason
from tests.support.task import ScriptedCloud, task_service
from tests.support.task_calls import create, create_streaming, error_of, event, serving_tasks

UUID = "0b0e7f9e-6a52-4a6f-9d4c-0d9a2c5a3f10"


def order(**fields: Any) -> pb.CreateTaskRequest:
    return pb.CreateTaskRequest(**{"room_id": "room", "stream_id": "stream", **fields})


BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("CreateTask", pb.CreateTaskRequest(stream_id="s"), "room_id"),
    ("CreateTask", order(room_id="r" * 129), "room_id"),
    ("CreateTask", order(room_id="会" * 43), "room_id"),
    ("CreateTask", pb.CreateTaskRequest(room_id="r"), "stream_id"),
    ("CreateTask", order(stream_id="a b"), "stream_id"),
    ("CreateTask", order(stream_id="s" * 129), "stream_id"),
    ("CreateTask", order(request_id="not-a-uuid"), "request_id"),
    ("CreateTask", order(digital_human_id="d" * 129), "digital_human_id"),
    ("CreateTask", order(persona_id="p" * 65), "persona_id"),
    ("CreateTask", order(language_code="english please"), "language_code"),
    ("CreateTask", order(user_id="u" * 65), "user_id"),
    ("CreateTask", order(max_duration=Duration(seconds=9)), "max_duration"),
    ("CreateTask", order(max_duration=Duration(seconds=86401)), "max_duration"),
    ("CreateTask", order(max_idle_duration=Duration(seconds=29)), "max_idle_duration"),
    ("CreateTask", order(max_idle_duration=Duration(seconds=-1)), "max_idle_duration"),
    ("CreateTask", order(background_color="red"), "background_color"),
    ("GetTask", pb.GetTaskRequest(), "task_id"),
    ("GetTask", pb.GetTaskRequest(task_id="t" * 65), "task_id"),
    ("ListTasks", pb.ListTasksRequest(page_size=-1), "page_size"),
    ("ListTasks", pb.ListTasksRequest(page_size=1001), "page_size"),
    ("ListTasks", pb.ListTasksRequest(page_token="t" * 129), "page_token"),
    ("ListTasks", pb.ListTasksRequest(states=[pb.TASK_STATE_UNSPECIFIED]), "states[0]"),
    ("ListTasks", pb.ListTasksRequest(states=[77]), "states[0]"),  # type: ignore[list-item]
    ("ListTasks", pb.ListTasksRequest(states=[1, 1]), "states"),  # type: ignore[list-item]
    ("StopTask", pb.StopTaskRequest(), "task_id"),
    ("StopTask", pb.StopTaskRequest(task_id="t", request_id="x"), "request_id"),
    ("StopTask", pb.StopTaskRequest(task_id="t", reason=99), "reason"),  # type: ignore[arg-type]
    ("RefreshTask", pb.RefreshTaskRequest(), "target"),
    ("RefreshTask", pb.RefreshTaskRequest(task_id=""), "task_id"),
    ("RefreshTask", pb.RefreshTaskRequest(avatar_id=""), "avatar_id"),
    ("AppendEvents", pb.AppendEventsRequest(events=[event(1)]), "task_id"),
    ("AppendEvents", pb.AppendEventsRequest(task_id="t"), "events"),
    ("AppendEvents", pb.AppendEventsRequest(task_id="t", events=[event(1)] * 1001), "events"),
    ("AppendEvents", pb.AppendEventsRequest(task_id="t", events=[event(0)]), "events[0].sequence"),
    (
        "AppendEvents",
        pb.AppendEventsRequest(task_id="t", events=[event(1), event(-2)]),
        "events[1].sequence",
    ),
    (
        "AppendEvents",
        pb.AppendEventsRequest(task_id="t", events=[event(1, -1)]),
        "events[0].turn_id",
    ),
    (
        "AppendEvents",
        pb.AppendEventsRequest(
            task_id="t", events=[event(1, event_time=Timestamp(seconds=1 << 50))]
        ),
        "events[0].event_time",
    ),
    ("GetConversation", pb.GetConversationRequest(), "task_id"),
    (
        "GetConversation",
        pb.GetConversationRequest(task_id="t", after_sequence=-1),
        "after_sequence",
    ),
]


@pytest.mark.parametrize(("method", "request_", "field"), BAD_FIELDS)
async def test_a_bad_field_is_named(
    tasks: TaskServiceStub, method: str, request_: Any, field: str
) -> None:
    error = await error_of(getattr(tasks, method)(request_))
    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == [field]
    assert error.message.startswith(field)


@pytest.mark.parametrize("request_", [pb.WatchTaskRequest(), pb.WatchTaskRequest(task_id="t" * 65)])
async def test_a_bad_watch_is_refused(
    tasks: TaskServiceStub, request_: pb.WatchTaskRequest
) -> None:
    error = await error_of(tasks.WatchTask(request_).read())
    assert [each.field for each in error.violations] == ["task_id"]


UNKNOWN: list[tuple[str, Any]] = [
    ("GetTask", pb.GetTaskRequest(task_id="task_x")),
    ("StopTask", pb.StopTaskRequest(task_id="task_x")),
    ("RefreshTask", pb.RefreshTaskRequest(task_id="task_x")),
    ("RefreshTask", pb.RefreshTaskRequest(avatar_id="avatar_x")),
    ("AppendEvents", pb.AppendEventsRequest(task_id="task_x", events=[event(1)])),
    ("GetConversation", pb.GetConversationRequest(task_id="task_x")),
]


@pytest.mark.parametrize(("method", "request_"), UNKNOWN)
async def test_an_unknown_task_is_not_found(
    tasks: TaskServiceStub, method: str, request_: Any
) -> None:
    error = await error_of(getattr(tasks, method)(request_))
    assert error.reason is Reason.TASK_NOT_FOUND


async def test_an_unknown_task_cannot_be_watched(tasks: TaskServiceStub) -> None:
    error = await error_of(tasks.WatchTask(pb.WatchTaskRequest(task_id="task_x")).read())
    assert error.reason is Reason.TASK_NOT_FOUND


@pytest.mark.parametrize(
    "other",
    [
        order(request_id=UUID, stream_id="other"),
        order(request_id=UUID, user_id="ann"),
        order(request_id=UUID, max_duration=Duration(seconds=60)),
    ],
)
async def test_a_request_id_belongs_to_one_creation(
    tasks: TaskServiceStub, other: pb.CreateTaskRequest
) -> None:
    await tasks.CreateTask(order(request_id=UUID))
    error = await error_of(tasks.CreateTask(other))
    assert (error.reason, error.metadata) == (Reason.REQUEST_ID_REUSED, {"request_id": UUID})
    answer = await tasks.CreateTask(order(request_id=UUID.upper()))
    assert answer.replayed


async def test_a_creations_id_is_no_stops_id(tasks: TaskServiceStub) -> None:
    task = (await tasks.CreateTask(order(request_id=UUID))).task
    request = pb.StopTaskRequest(task_id=task.task_id, request_id=UUID)
    error = await error_of(tasks.StopTask(request))
    assert error.reason is Reason.REQUEST_ID_REUSED


async def test_a_conversation_has_no_events_beyond_its_last(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    request = pb.GetConversationRequest(task_id=task.task_id, after_sequence=1)
    error = await error_of(tasks.GetConversation(request))
    assert (error.reason, error.metadata) == (
        Reason.SEQUENCE_OUT_OF_RANGE,
        {"last_sequence": "0"},
    )


async def test_callers_without_the_token_are_refused(cloud: ScriptedCloud) -> None:
    async with serving_tasks(cloud, service_token="a-secret-service-token") as tasks:
        error = await error_of(create(tasks))
        assert error.reason is Reason.CREDENTIALS_INVALID
        metadata = (("authorization", "Bearer a-secret-service-token"),)
        assert await tasks.CreateTask(order(), metadata=metadata)


async def test_bytes_that_are_no_message_are_refused(cloud: ScriptedCloud) -> None:
    async with (
        task_service(cloud) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call: Any = channel.unary_unary("/digitalhuman.task.v1.TaskService/GetTask")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\xff\xff\xff")
    assert from_rpc_error(caught.value).reason is Reason.MALFORMED_MESSAGE


async def test_an_unexpected_failure_reveals_nothing(
    tasks: TaskServiceStub, cloud: ScriptedCloud
) -> None:
    async def break_down(_: object) -> None:
        raise RuntimeError("the secret is 42")

    cloud.start_avatar = break_down  # type: ignore[assignment, method-assign]
    error = await error_of(create(tasks))
    assert error.reason is Reason.INTERNAL
    assert "42" not in error.message
