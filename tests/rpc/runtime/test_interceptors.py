"""What surrounds every RPC: errors with reasons, rules of the protos, credentials, cancellation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from digitalhuman.speech.v1 import speech_pb2 as speech
from digitalhuman.speech.v1 import speech_pb2_grpc as speech_grpc
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from services.runtime.callers.caller import TENANT_HEADER, Caller, current_caller, to_metadata
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.serving.server import ServingOptions, serving
from tests.support.failures import told_by

TASK = "digitalhuman.task.v1.TaskService"
SPEECH = "digitalhuman.speech.v1.SpeechService"
SECRET = "SERVER_SECRET=0123456789"


class Tasks(rpc.TaskServiceServicer):
    """Answers a task id with what it stands for."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        match request.task_id:
            case "missing":
                raise ServiceError(Reason.TASK_NOT_FOUND, "no such task", task_id="missing")
            case "busy":
                raise ServiceError(Reason.RATE_LIMITED, "slow down", retry_after_s=1.5)
            case "bug":
                raise RuntimeError(SECRET)
            case "whose":
                return pb.GetTaskResponse(task=pb.Task(task_id=current_caller().tenant_id))
            case "grouped":
                async with asyncio.TaskGroup() as group:
                    group.create_task(_fail(ServiceError(Reason.TASK_ENDED, "over")))
            case "slow":
                self.entered.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled.set()
                    raise
        return pb.GetTaskResponse(task=pb.Task(task_id=request.task_id))

    async def WatchTask(self, request: Any, context: Any) -> AsyncIterator[pb.WatchTaskResponse]:
        yield pb.WatchTaskResponse(snapshot=pb.TaskSnapshot(last_sequence=1))
        match request.task_id:
            case "ended":
                raise ServiceError(Reason.TASK_ENDED, "over")
            case "bug":
                raise RuntimeError(SECRET)


class Speech(speech_grpc.SpeechServiceServicer):
    """Counts the messages that reach it."""

    async def Converse(  # type: ignore[override]  # the coroutine form
        self, requests: Any, context: Any
    ) -> None:
        async for request in requests:
            ready = speech.ConverseReady(persona_id=request.WhichOneof("request") or "")
            await context.write(speech.ConverseResponse(ready=ready))


async def _fail(error: Exception) -> None:
    raise error


@asynccontextmanager
async def served(
    tasks: Tasks | None = None, service_tokens: tuple[str, ...] = ()
) -> AsyncIterator[Any]:
    options = ServingOptions(host="127.0.0.1", port=0, service_tokens=service_tokens)
    async with (
        serving(
            options,
            [TASK, SPEECH],
            lambda server: rpc.add_TaskServiceServicer_to_server(tasks or Tasks(), server),
            lambda server: speech_grpc.add_SpeechServiceServicer_to_server(Speech(), server),
        ) as up,
        grpc.aio.insecure_channel(up.address) as channel,
    ):
        yield channel


async def failure(call: Awaitable[Any]) -> tuple[grpc.StatusCode, ServiceError, str]:
    """Return the code, error and raw text with which a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    return error.code(), told_by(error), error.details() or ""


async def drained(stream: Any) -> list[Any]:
    return [message async for message in stream]


@pytest.mark.parametrize(
    ("task_id", "code", "reason"),
    [
        ("missing", grpc.StatusCode.NOT_FOUND, Reason.TASK_NOT_FOUND),
        ("busy", grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.RATE_LIMITED),
        ("grouped", grpc.StatusCode.FAILED_PRECONDITION, Reason.TASK_ENDED),
        ("bug", grpc.StatusCode.INTERNAL, Reason.INTERNAL),
    ],
)
async def test_a_raised_error_reaches_the_caller_with_its_reason(
    task_id: str, code: grpc.StatusCode, reason: Reason
) -> None:
    async with served() as channel:
        got, error, _ = await failure(
            rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id=task_id))
        )
    assert (got, error.reason) == (code, reason)


async def test_metadata_and_retry_hint_travel() -> None:
    async with served() as channel:
        stub = rpc.TaskServiceStub(channel)
        _, missing, _ = await failure(stub.GetTask(pb.GetTaskRequest(task_id="missing")))
        _, busy, _ = await failure(stub.GetTask(pb.GetTaskRequest(task_id="busy")))
    assert missing.metadata == {"task_id": "missing"}
    assert busy.retry_after_s == pytest.approx(1.5)


@pytest.mark.parametrize("method", ["GetTask", "WatchTask"])
async def test_an_unexpected_error_leaks_nothing(method: str) -> None:
    async with served() as channel:
        stub = rpc.TaskServiceStub(channel)
        if method == "GetTask":
            call: Awaitable[Any] = stub.GetTask(pb.GetTaskRequest(task_id="bug"))
        else:
            call = drained(stub.WatchTask(pb.WatchTaskRequest(task_id="bug")))
        code, error, text = await failure(call)
    assert (code, error.reason) == (grpc.StatusCode.INTERNAL, Reason.INTERNAL)
    assert text == "Something went wrong here."
    assert "SERVER_SECRET" not in repr(error.metadata)


async def test_a_stream_delivers_what_came_before_its_failure() -> None:
    async with served() as channel:
        stream = rpc.TaskServiceStub(channel).WatchTask(pb.WatchTaskRequest(task_id="ended"))
        first = await stream.read()
        assert isinstance(first, pb.WatchTaskResponse)
        assert first.snapshot.last_sequence == 1
        _, error, _ = await failure(stream.read())
    assert error.reason is Reason.TASK_ENDED


NOT_A_MESSAGE = [b"\xff", b"\x0a\xff", b"\x0a\x05ab", b"not a message"]


@pytest.mark.parametrize("raw", NOT_A_MESSAGE)
@pytest.mark.parametrize("method", ["GetTask", "CreateTask", "WatchTask", "Converse"])
async def test_undecodable_bytes_are_refused(method: str, raw: bytes) -> None:
    async with served() as channel:
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "GetTask": lambda: channel.unary_unary(f"/{TASK}/GetTask")(raw),
            "CreateTask": lambda: channel.unary_unary(f"/{TASK}/CreateTask")(raw),
            "WatchTask": lambda: drained(channel.unary_stream(f"/{TASK}/WatchTask")(raw)),
            "Converse": lambda: drained(channel.stream_stream(f"/{SPEECH}/Converse")([raw])),
        }
        code, error, text = await failure(calls[method]())
    assert (code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, Reason.MALFORMED_MESSAGE)
    assert "Error" not in text
    assert "digitalhuman" not in text


async def test_text_that_is_no_utf8_is_refused() -> None:
    async with served() as channel:
        call = channel.unary_unary(f"/{TASK}/GetTask")(b"\x0a\x02\xff\xfe")
        code, error, _ = await failure(call)
    assert (code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, Reason.MALFORMED_MESSAGE)


ROOM_AND_STREAM = {"room_id": "room", "stream_id": "stream"}
BROKEN_RULES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"room_id", "stream_id"}),
    ({"room_id": "room"}, {"stream_id"}),
    ({"room_id": "é" * 65, "stream_id": "stream"}, {"room_id"}),
    ({"room_id": "room", "stream_id": "no spaces"}, {"stream_id"}),
    (ROOM_AND_STREAM | {"request_id": "not a uuid"}, {"request_id"}),
    (ROOM_AND_STREAM | {"language_code": "en_US"}, {"language_code"}),
    (ROOM_AND_STREAM | {"background_color": "red"}, {"background_color"}),
    (ROOM_AND_STREAM | {"max_duration": {"seconds": 1}}, {"max_duration"}),
    (ROOM_AND_STREAM | {"max_idle_duration": {"seconds": 29}}, {"max_idle_duration"}),
    (ROOM_AND_STREAM | {"user_id": "u" * 65, "persona_id": "p" * 65}, {"user_id", "persona_id"}),
]


@pytest.mark.parametrize(("fields", "broken"), BROKEN_RULES)
async def test_a_broken_rule_names_its_field(fields: dict[str, Any], broken: set[str]) -> None:
    async with served() as channel:
        code, error, text = await failure(
            rpc.TaskServiceStub(channel).CreateTask(pb.CreateTaskRequest(**fields))
        )
    assert (code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, Reason.INVALID_REQUEST)
    assert {violation.field for violation in error.violations} == broken
    assert all(violation.rule and violation.description for violation in error.violations)
    assert any(text.startswith(f"{field}: ") for field in broken)


async def test_of_many_values_that_break_a_rule_one_is_named() -> None:
    request = pb.CreateTaskRequest()
    request.facts.hot_words.words.extend([""] * 10_000)
    async with served() as channel:
        _, error, _ = await failure(rpc.TaskServiceStub(channel).CreateTask(request))
    assert (error.reason, len(error.violations)) == (Reason.INVALID_REQUEST, 1)


async def test_a_broken_rule_in_a_stream_names_its_path() -> None:
    setup = speech.ConverseSetup(
        turn_detection=speech.TURN_DETECTION_MANUAL, output=speech.REPLY_OUTPUT_AUDIO
    )
    requests = [
        speech.ConverseRequest(setup=setup),
        speech.ConverseRequest(audio=speech.ConverseAudio(pcm=b"x")),
    ]
    async with served() as channel:
        stream = speech_grpc.SpeechServiceStub(channel).Converse(iter(requests))
        first = await stream.read()
        assert isinstance(first, speech.ConverseResponse)
        assert first.ready.persona_id == "setup"
        code, error, _ = await failure(stream.read())
    assert (code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, Reason.INVALID_REQUEST)
    assert [violation.field for violation in error.violations] == ["audio.pcm"]


async def test_a_list_element_is_named_by_its_index() -> None:
    request = pb.ListTasksRequest(states=[pb.TASK_STATE_STREAMING, pb.TASK_STATE_UNSPECIFIED])
    async with served() as channel:
        _, error, _ = await failure(rpc.TaskServiceStub(channel).ListTasks(request))
    assert [violation.field for violation in error.violations] == ["states[1]"]


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer wrong"),),
        (("authorization", "token"),),
        (("authorization", "bearer token"),),
    ],
)
async def test_only_the_service_token_opens(metadata: tuple[tuple[str, str], ...]) -> None:
    async with served(service_tokens=("token", "older")) as channel:
        code, error, _ = await failure(
            rpc.TaskServiceStub(channel).GetTask(
                pb.GetTaskRequest(task_id="task"), metadata=metadata
            )
        )
    assert (code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, Reason.CREDENTIALS_INVALID)


async def test_a_refused_service_has_nobody_else_be_refused() -> None:
    async with served(service_tokens=("token",)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="task"))
    assert from_rpc_error(caught.value).reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_the_service_token_lets_in() -> None:
    async with served(service_tokens=("token", "older")) as channel:
        answer = await rpc.TaskServiceStub(channel).GetTask(
            pb.GetTaskRequest(task_id="task"), metadata=(("authorization", "Bearer token"),)
        )
    assert answer.task.task_id == "task"


async def test_a_stranger_with_broken_rules_learns_nothing_about_them() -> None:
    async with served(service_tokens=("token", "older")) as channel:
        code, error, _ = await failure(
            rpc.TaskServiceStub(channel).CreateTask(pb.CreateTaskRequest())
        )
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert error.violations == ()


async def test_cancelling_a_call_cancels_its_handler() -> None:
    tasks = Tasks()
    async with served(tasks) as channel:
        call = rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="slow"))
        waiting = asyncio.ensure_future(call)
        await tasks.entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await tasks.cancelled.wait()


class Late(speech_grpc.SpeechServiceServicer):
    """Writes to a caller who has left."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def Converse(  # type: ignore[override]  # the coroutine form
        self, requests: Any, context: Any
    ) -> None:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await context.write(speech.ConverseResponse())
            except Exception as error:
                self.failed.set_result(error)
                raise


async def test_an_answer_to_a_caller_who_has_left_is_no_failure() -> None:
    late = Late()
    with capture_logs() as lines:
        async with (
            serving(
                ServingOptions(host="127.0.0.1", port=0),
                [],
                lambda server: speech_grpc.add_SpeechServiceServicer_to_server(late, server),
            ) as up,
            grpc.aio.insecure_channel(up.address) as channel,
        ):
            call: Any = speech_grpc.SpeechServiceStub(channel).Converse()
            await call.write(speech.ConverseRequest())
            await late.entered.wait()
            call.cancel()
            failure = await late.failed
    assert isinstance(failure, grpc.aio.InternalError)
    assert [each["code"] for each in lines if each["event"] == "rpc ended"] == ["CANCELLED"]
    assert not [each for each in lines if each["log_level"] == "error"]


async def test_the_reason_of_a_dependency_is_passed_on() -> None:
    async with served() as behind:

        class Front(rpc.TaskServiceServicer):
            async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
                return await rpc.TaskServiceStub(behind).GetTask(request)

        options = ServingOptions(host="127.0.0.1", port=0)
        async with (
            serving(
                options,
                [TASK],
                lambda server: rpc.add_TaskServiceServicer_to_server(Front(), server),
            ) as up,
            grpc.aio.insecure_channel(up.address) as channel,
        ):
            stub = rpc.TaskServiceStub(channel)
            code, error, _ = await failure(stub.GetTask(pb.GetTaskRequest(task_id="missing")))
    assert (code, error.reason) == (grpc.StatusCode.NOT_FOUND, Reason.TASK_NOT_FOUND)
    assert error.metadata == {"task_id": "missing"}


async def test_an_unreachable_dependency_is_named_as_one() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nowhere:

        class Front(rpc.TaskServiceServicer):
            async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
                return await rpc.TaskServiceStub(nowhere).GetTask(request)

        options = ServingOptions(host="127.0.0.1", port=0)
        async with (
            serving(
                options,
                [TASK],
                lambda server: rpc.add_TaskServiceServicer_to_server(Front(), server),
            ) as up,
            grpc.aio.insecure_channel(up.address) as channel,
        ):
            stub = rpc.TaskServiceStub(channel)
            code, error, text = await failure(stub.GetTask(pb.GetTaskRequest(task_id="task")))
    assert (code, error.reason) == (grpc.StatusCode.UNAVAILABLE, Reason.DEPENDENCY_UNAVAILABLE)
    assert "127.0.0.1" not in text


async def test_an_unknown_method_is_unimplemented() -> None:
    async with served() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{TASK}/Dance")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_call_is_made_for_the_tenant_that_it_names() -> None:
    async with served() as channel:
        tasks = rpc.TaskServiceStub(channel)
        for caller in (Caller(tenant_id="acme"), Caller(), Caller(tenant_id="zoo")):
            request = pb.GetTaskRequest(task_id="whose")
            answer = await tasks.GetTask(request, metadata=to_metadata(caller))
            assert answer.task.task_id == caller.tenant_id
        code, error, _ = await failure(
            tasks.GetTask(request, metadata=((TENANT_HEADER, "No Tenant"),))
        )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert [each.field for each in error.violations] == [TENANT_HEADER]
