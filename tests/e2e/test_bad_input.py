"""Bad input over HTTP and gRPC, against the real processes: a reason, a field, never a 5xx."""

import asyncio
import io
import json
import re
import wave
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
import pytest

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.avatar.v1 import avatar_pb2 as avatar
from digitalhuman.speech.v1 import speech_pb2 as speech
from digitalhuman.task.v1 import task_pb2 as task
from services.runtime.callers.requests import Metadata
from services.runtime.failures.errors import from_rpc_error

# The first of these tests starts the stack.
pytestmark = pytest.mark.timeout(300)

API = "/api/digital-human"
CREATE, TALK, STOP, SAY = (
    f"{API}/{name}" for name in ("create-task", "talk-to-ai", "stop-task", "say")
)
NOBODY = "task_00000000000000000000000000"
# What no answer may hold: the insides of a program.
INSIDES = re.compile(r"Traceback|Error\(|Exception|\.py\b|0x[0-9a-f]{6}|pydantic|grpc\.|google\.")


def wav(samples: int, rate: int = 16_000, channels: int = 1) -> bytes:
    """A recording of silence."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * channels * samples))
    return target.getvalue()


def body(**members: Any) -> dict[str, Any]:
    return {"json": members}


def raw(content: bytes | str, kind: str = "application/json") -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": kind}}


def upload(content: bytes, kind: str = "audio/wav", **fields: str) -> dict[str, Any]:
    return {"files": {"audio": ("question", content, kind)}, "data": fields}


ROOM = {"roomId": "room", "streamId": "stream"}
HTTP: list[tuple[str, str, str, dict[str, Any], int, str, str | None]] = [
    ("no-body", "POST", CREATE, raw(b""), 400, "MALFORMED_MESSAGE|INVALID_REQUEST", None),
    ("half-json", "POST", CREATE, raw(b'{"roomId":'), 400, "MALFORMED_MESSAGE", None),
    ("not-utf8", "POST", CREATE, raw(b'{"roomId":"\xff"}'), 400, "MALFORMED_MESSAGE", None),
    ("array", "POST", CREATE, raw(b"[]"), 400, "INVALID_REQUEST", "body"),
    ("deep-json", "POST", CREATE, raw("[" * 20_000), 400, "MALFORMED_MESSAGE", None),
    ("big-json", "POST", CREATE, raw(b" " * 1_100_000), 413, "PAYLOAD_TOO_LARGE", None),
    ("text-body", "POST", CREATE, raw(b"hello", "text/plain"), 415, "MEDIA_TYPE_UNSUPPORTED", None),
    ("no-fields", "POST", CREATE, body(), 400, "INVALID_REQUEST", "roomId"),
    ("no-stream", "POST", CREATE, body(roomId="room"), 400, "INVALID_REQUEST", "streamId"),
    ("room-number", "POST", CREATE, body(roomId=1, streamId="s"), 400, "INVALID_REQUEST", "roomId"),
    ("room-empty", "POST", CREATE, body(roomId="", streamId="s"), 400, "INVALID_REQUEST", "roomId"),
    (
        "room-long",
        "POST",
        CREATE,
        body(**ROOM | {"roomId": "r" * 129}),
        400,
        "INVALID_REQUEST",
        "roomId",
    ),
    (
        "stream-odd",
        "POST",
        CREATE,
        body(**ROOM | {"streamId": "a b"}),
        400,
        "INVALID_REQUEST",
        "streamId",
    ),
    (
        "stream-long",
        "POST",
        CREATE,
        body(**ROOM | {"streamId": "s" * 129}),
        400,
        "INVALID_REQUEST",
        "streamId",
    ),
    (
        "lang-odd",
        "POST",
        CREATE,
        body(**ROOM, lang="english please"),
        400,
        "INVALID_REQUEST",
        "lang",
    ),
    (
        "color-odd",
        "POST",
        CREATE,
        body(**ROOM, backgroundColor="red"),
        400,
        "INVALID_REQUEST",
        "backgroundColor",
    ),
    (
        "too-short",
        "POST",
        CREATE,
        body(**ROOM, maxDurationSeconds=1),
        400,
        "INVALID_REQUEST",
        "maxDurationSeconds",
    ),
    (
        "duration-text",
        "POST",
        CREATE,
        body(**ROOM, maxDurationSeconds="9"),
        400,
        "INVALID_REQUEST",
        "maxDurationSeconds",
    ),
    (
        "nobody-shown",
        "POST",
        CREATE,
        body(**ROOM, digitalHumanId="nobody"),
        404,
        "DIGITAL_HUMAN_NOT_FOUND",
        "digitalHumanId",
    ),
    (
        "nobody-talks",
        "POST",
        CREATE,
        body(**ROOM, personaId="x"),
        404,
        "PERSONA_NOT_FOUND",
        "personaId",
    ),
    ("lang-foreign", "POST", CREATE, body(**ROOM, lang="fr"), 400, "LANGUAGE_UNSUPPORTED", "lang"),
    ("stop-nobody", "POST", STOP, body(taskId=NOBODY), 404, "TASK_NOT_FOUND", None),
    ("stop-what", "POST", STOP, body(), 400, "INVALID_REQUEST", "taskId"),
    ("stop-null", "POST", STOP, body(taskId=None), 400, "INVALID_REQUEST", "taskId"),
    ("talk-nobody", "POST", TALK, body(taskId=NOBODY, text="hello"), 404, "TASK_NOT_FOUND", None),
    ("talk-what", "POST", TALK, body(text="hello"), 400, "INVALID_REQUEST", "taskId"),
    ("talk-kind", "POST", TALK, raw(b"<x/>", "text/xml"), 415, "MEDIA_TYPE_UNSUPPORTED", None),
    ("say-nothing", "POST", SAY, body(taskId=NOBODY), 400, "INVALID_REQUEST", "text"),
    (
        "say-urgent",
        "POST",
        SAY,
        body(taskId=NOBODY, text="x", priority="NOW"),
        400,
        "INVALID_REQUEST",
        "priority",
    ),
    ("token-nobody", "GET", "/api/token", {}, 400, "INVALID_REQUEST", "userId"),
    (
        "token-long",
        "GET",
        "/api/token",
        {"params": {"userId": "u" * 65}},
        400,
        "INVALID_REQUEST",
        "userId",
    ),
    (
        "state-odd",
        "GET",
        f"{API}/tasks",
        {"params": {"state": "DANCING"}},
        400,
        "INVALID_REQUEST",
        "state",
    ),
    (
        "page-odd",
        "GET",
        f"{API}/tasks",
        {"params": {"pageSize": "many"}},
        400,
        "INVALID_REQUEST",
        "pageSize",
    ),
    ("task-nobody", "GET", f"{API}/tasks/{NOBODY}", {}, 404, "TASK_NOT_FOUND", None),
    ("watch-nobody", "GET", f"{API}/tasks/{NOBODY}/events", {}, 404, "TASK_NOT_FOUND", None),
    ("nowhere", "GET", "/api/nowhere", {}, 404, "ROUTE_NOT_FOUND", None),
    ("wrong-method", "GET", CREATE, {}, 405, "METHOD_NOT_ALLOWED", None),
    ("unsigned-callback", "POST", "/api/callbacks/zego", raw(b"{}"), 401, "CALLBACK_INVALID", None),
]
ON_AIR: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("blank", body(text="   "), "INVALID_REQUEST", "text"),
    ("long", body(text="x" * 4001), "INVALID_REQUEST", "text"),
    ("number", body(text=7), "INVALID_REQUEST", "text"),
    ("lang-odd", body(text="hello", lang="??"), "INVALID_REQUEST", "lang"),
    ("lang-foreign", body(text="hello", lang="eo"), "LANGUAGE_UNSUPPORTED", "lang"),
    ("empty-audio", upload(b""), "AUDIO_INVALID", "audio"),
    ("text-as-audio", upload(b"this is no audio at all" * 20), "AUDIO_INVALID", "audio"),
    ("truncated-wav", upload(wav(16_000)[:30]), "AUDIO_INVALID", "audio"),
    ("no-samples", upload(wav(0)), "AUDIO_INVALID", "audio"),
    ("silence", upload(wav(32_000)), "NO_SPEECH", None),
    ("text-file", upload(b"hello", "text/plain"), "MEDIA_TYPE_UNSUPPORTED", None),
    ("no-file", {"files": {"other": ("x", b"x", "audio/wav")}}, "INVALID_REQUEST", "other"),
]


@pytest.mark.parametrize(
    ("method", "path", "request_parts", "status", "reasons", "field"),
    [case[1:] for case in HTTP],
    ids=[case[0] for case in HTTP],
)
async def test_http(
    method: str,
    path: str,
    request_parts: dict[str, Any],
    status: int,
    reasons: str,
    field: str | None,
    http: httpx.AsyncClient,
) -> None:
    answer = await http.request(method, path, **request_parts)
    assert answer.status_code == status, answer.text
    assert_problem(answer, reasons, field)
    assert (await http.get("/readyz")).status_code == 200


async def test_questions_to_a_task_on_air(http: httpx.AsyncClient, task_id: str) -> None:
    for name, parts, reason, field in ON_AIR:
        asked: dict[str, Any] = {
            part: dict(value) if isinstance(value, dict) else value for part, value in parts.items()
        }
        target = "json" if "json" in asked else "data"
        asked[target] = {"taskId": task_id, **asked.get(target, {})}
        answer = await http.post(TALK, **asked)
        assert answer.status_code in (400, 415), (name, answer.text)
        assert_problem(answer, reason, field)
    # After all of that the task still answers.
    said = await http.post(SAY, json={"taskId": task_id, "text": "I am still here."})
    assert said.raise_for_status().json()["heard"] == "I am still here."


async def test_an_upload_of_200_megabytes(http: httpx.AsyncClient, task_id: str) -> None:
    sent = 0

    async def flood() -> Any:
        nonlocal sent
        for _ in range(200):
            sent += 1
            yield bytes(1 << 20)

    try:
        answer = await http.post(
            TALK,
            params={"taskId": task_id},
            content=flood(),
            headers={"Content-Type": "audio/wav"},
        )
    except httpx.WriteError:
        # The gateway may hang up on who goes on sending; it must not have read it all.
        assert sent < 200
    else:
        assert_problem(answer, "PAYLOAD_TOO_LARGE", None)
        assert answer.status_code == 413
    assert (await http.get("/readyz")).status_code == 200


def assert_problem(answer: httpx.Response, reasons: str, field: str | None) -> None:
    """A problem with one of the reasons, which names the field and shows nothing inside."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["reason"] in reasons.split("|"), answer.text
    assert problem["success"] is False
    assert problem["error"]
    assert problem["requestId"]
    assert not INSIDES.search(json.dumps(problem, ensure_ascii=False)), answer.text
    if field is not None:
        fields = [violation["field"] for violation in problem["violations"]]
        assert field in fields, answer.text
        assert all(each["rule"] and each["description"] for each in problem["violations"])


TASKS, SPEECH, AVATAR = (
    f"digitalhuman.{area}.v1.{area.capitalize()}Service" for area in ("task", "speech", "avatar")
)
PCM = audio_pb2.AudioFormat(
    encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE, sample_rate_hertz=16_000, channel_count=1
)


def setup(**changes: Any) -> speech.ConverseRequest:
    parts: dict[str, Any] = {
        "turn_detection": speech.TURN_DETECTION_MANUAL,
        "output": speech.REPLY_OUTPUT_AUDIO,
        "input_format": PCM,
        "language_code": "en",
    }
    return speech.ConverseRequest(setup=speech.ConverseSetup(**parts | changes))


def audio(pcm: bytes) -> speech.ConverseRequest:
    return speech.ConverseRequest(audio=speech.ConverseAudio(pcm=pcm))


def odd_format(**changes: Any) -> audio_pb2.AudioFormat:
    changed = audio_pb2.AudioFormat()
    changed.CopyFrom(PCM)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def transcribe(language_code: str, audio_format: audio_pb2.AudioFormat) -> speech.TranscribeRequest:
    return speech.TranscribeRequest(
        setup=speech.TranscribeSetup(language_code=language_code, format=audio_format)
    )


INVALID = grpc.StatusCode.INVALID_ARGUMENT
GRPC: list[tuple[str, str, str, list[Any], grpc.StatusCode, str]] = [
    ("task-garbage", TASKS, "CreateTask", [b"\xff\xff"], INVALID, "MALFORMED_MESSAGE"),
    ("task-empty", TASKS, "CreateTask", [b""], INVALID, "INVALID_REQUEST"),
    ("task-no-id", TASKS, "GetTask", [task.GetTaskRequest()], INVALID, "INVALID_REQUEST"),
    (
        "task-long-id",
        TASKS,
        "GetTask",
        [task.GetTaskRequest(task_id="x" * 65)],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "task-nobody",
        TASKS,
        "GetTask",
        [task.GetTaskRequest(task_id=NOBODY)],
        grpc.StatusCode.NOT_FOUND,
        "TASK_NOT_FOUND",
    ),
    (
        "stop-nobody",
        TASKS,
        "StopTask",
        [task.StopTaskRequest(task_id=NOBODY)],
        grpc.StatusCode.NOT_FOUND,
        "TASK_NOT_FOUND",
    ),
    (
        "stop-why",
        TASKS,
        "StopTask",
        [task.StopTaskRequest(task_id=NOBODY, reason=task.StopReason.ValueType(99))],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "list-page",
        TASKS,
        "ListTasks",
        [task.ListTasksRequest(page_size=-1)],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "list-token",
        TASKS,
        "ListTasks",
        [task.ListTasksRequest(page_token="nonsense")],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "append-none",
        TASKS,
        "AppendEvents",
        [task.AppendEventsRequest(task_id=NOBODY)],
        INVALID,
        "INVALID_REQUEST",
    ),
    ("refresh-what", TASKS, "RefreshTask", [task.RefreshTaskRequest()], INVALID, "INVALID_REQUEST"),
    (
        "watch-nobody",
        TASKS,
        "WatchTask",
        [task.WatchTaskRequest(task_id=NOBODY)],
        grpc.StatusCode.NOT_FOUND,
        "TASK_NOT_FOUND",
    ),
    (
        "watch-before",
        TASKS,
        "WatchTask",
        [task.WatchTaskRequest(task_id=NOBODY, after_sequence=-1)],
        INVALID,
        "INVALID_REQUEST",
    ),
    ("speech-garbage", SPEECH, "Converse", [b"\xff"], INVALID, "MALFORMED_MESSAGE"),
    ("speech-nothing", SPEECH, "Converse", [], INVALID, "STREAM_ORDER"),
    ("speech-empty", SPEECH, "Converse", [b""], INVALID, "INVALID_REQUEST"),
    ("audio-first", SPEECH, "Converse", [audio(bytes(2))], INVALID, "STREAM_ORDER"),
    ("setup-twice", SPEECH, "Converse", [setup(), setup()], INVALID, "STREAM_ORDER"),
    (
        "setup-bare",
        SPEECH,
        "Converse",
        [speech.ConverseRequest(setup=speech.ConverseSetup())],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "avatar-without-task",
        SPEECH,
        "Converse",
        [setup(output=speech.REPLY_OUTPUT_AVATAR)],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "odd-pcm",
        SPEECH,
        "Converse",
        [setup(), audio(bytes(3))],
        INVALID,
        "AUDIO_INVALID|INVALID_REQUEST",
    ),
    ("huge-pcm", SPEECH, "Converse", [setup(), audio(bytes(32_770))], INVALID, "INVALID_REQUEST"),
    (
        "odd-rate",
        SPEECH,
        "Converse",
        [setup(input_format=odd_format(sample_rate_hertz=44_100))],
        INVALID,
        "AUDIO_FORMAT_UNSUPPORTED|INVALID_REQUEST",
    ),
    (
        "stereo",
        SPEECH,
        "Converse",
        [setup(input_format=odd_format(channel_count=2))],
        INVALID,
        "AUDIO_FORMAT_UNSUPPORTED|INVALID_REQUEST",
    ),
    (
        "no-such-persona",
        SPEECH,
        "Converse",
        [setup(persona_id="nobody")],
        grpc.StatusCode.NOT_FOUND,
        "PERSONA_NOT_FOUND",
    ),
    (
        "no-such-voice",
        SPEECH,
        "Converse",
        [setup(voice_id="nobody")],
        grpc.StatusCode.NOT_FOUND,
        "VOICE_NOT_FOUND",
    ),
    (
        "no-such-language",
        SPEECH,
        "Converse",
        [setup(language_code="eo")],
        INVALID,
        "LANGUAGE_UNSUPPORTED",
    ),
    (
        "blank-text",
        SPEECH,
        "Converse",
        [setup(), speech.ConverseRequest(text=speech.ConverseText(text=" "))],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "transcribe-language",
        SPEECH,
        "Transcribe",
        [transcribe("eo", PCM)],
        INVALID,
        "LANGUAGE_UNSUPPORTED",
    ),
    (
        "transcribe-order",
        SPEECH,
        "Transcribe",
        [speech.TranscribeRequest(audio=speech.ConverseAudio(pcm=bytes(2)))],
        INVALID,
        "STREAM_ORDER",
    ),
    (
        "synthesize-nothing",
        SPEECH,
        "Synthesize",
        [speech.SynthesizeRequest(language_code="en")],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "synthesize-voice",
        SPEECH,
        "Synthesize",
        [speech.SynthesizeRequest(text="x", language_code="en", voice_id="nobody")],
        grpc.StatusCode.NOT_FOUND,
        "VOICE_NOT_FOUND",
    ),
    ("avatar-garbage", AVATAR, "Drive", [b"\xff"], INVALID, "MALFORMED_MESSAGE"),
    (
        "avatar-order",
        AVATAR,
        "Drive",
        [avatar.DriveRequest(finish=avatar.DriveFinish())],
        INVALID,
        "STREAM_ORDER",
    ),
    (
        "avatar-start",
        AVATAR,
        "StartAvatar",
        [avatar.StartAvatarRequest(room_id="room", stream_id="a b")],
        INVALID,
        "INVALID_REQUEST",
    ),
    (
        "avatar-nobody",
        AVATAR,
        "GetAvatar",
        [avatar.GetAvatarRequest(avatar_id="nobody")],
        grpc.StatusCode.NOT_FOUND,
        "AVATAR_NOT_FOUND",
    ),
    (
        "callback-garbage",
        AVATAR,
        "HandleCallback",
        [avatar.HandleCallbackRequest(body=b"not json")],
        grpc.StatusCode.UNAUTHENTICATED,
        "CALLBACK_INVALID",
    ),
]
STREAMED = {"Converse", "Transcribe", "Drive"}
STREAMING = STREAMED | {"WatchTask", "Synthesize"}


@pytest.mark.parametrize(
    ("service", "method", "messages", "code", "reasons"),
    [case[1:] for case in GRPC],
    ids=[case[0] for case in GRPC],
)
async def test_grpc(
    service: str,
    method: str,
    messages: list[Any],
    code: grpc.StatusCode,
    reasons: str,
    task_channel: grpc.aio.Channel,
    speech_channel: grpc.aio.Channel,
    avatar_channel: grpc.aio.Channel,
    token: Metadata,
) -> None:
    channel: Any = {TASKS: task_channel, SPEECH: speech_channel, AVATAR: avatar_channel}[service]
    sent = [each if isinstance(each, bytes) else each.SerializeToString() for each in messages]
    path = f"/{service}/{method}"

    async def drained(answers: Any) -> None:
        async for _ in answers:
            continue

    calls: dict[tuple[bool, bool], Callable[[], Awaitable[Any]]] = {
        (False, False): lambda: channel.unary_unary(path)(sent[0], metadata=token),
        (False, True): lambda: drained(channel.unary_stream(path)(sent[0], metadata=token)),
        (True, True): lambda: drained(channel.stream_stream(path)(sent, metadata=token)),
    }
    async with asyncio.timeout(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await calls[method in STREAMED, method in STREAMING]()
    error = from_rpc_error(caught.value)
    assert caught.value.code() is code, caught.value
    assert error.reason in reasons.split("|"), caught.value
    assert not INSIDES.search(caught.value.details() or "")
    if error.reason == "INVALID_REQUEST":
        assert error.violations
