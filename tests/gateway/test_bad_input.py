"""Every error in a request is answered with a problem that names field and rule, never 5xx."""

import dataclasses
import gzip
import io
import json
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.support.gateway_rig import RunningGateway, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = "/api/digital-human"
TASK = "{task}"
"""Stands for the id of a task that is on air."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request, and the problem that it deserves."""

    id: str
    path: str
    method: str = "POST"
    status: int = 400
    reason: str = "INVALID_REQUEST"
    field: str | None = None
    rule: str | None = None
    request: dict[str, Any] = dataclasses.field(default_factory=dict)


def make_wav(seconds: float = 0.5, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(b"\x01\x02" * int(seconds * rate))
    return file.getvalue()


def json_case(
    id: str, path: str, body: Any, field: str | None, rule: str | None, **other: Any
) -> Case:
    return Case(
        id=id, path=f"{API}/{path}", request={"json": body}, field=field, rule=rule, **other
    )


def raw_json_case(id: str, path: str, content: bytes, **other: Any) -> Case:
    request = {"content": content, "headers": {"content-type": "application/json"}}
    return Case(id=id, path=f"{API}/{path}", request=request, **other)


def upload_case(
    id: str,
    content: bytes,
    media_type: str = "audio/wav",
    *,
    reason: str = "AUDIO_INVALID",
    rule: str | None,
    **other: Any,
) -> Case:
    request = {"data": {"taskId": TASK}, "files": {"audio": ("speech", content, media_type)}}
    return Case(
        id=id,
        path=f"{API}/talk-to-ai",
        request=request,
        reason=reason,
        field="audio",
        rule=rule,
        **other,
    )


def raw_audio_case(id: str, content: bytes, media_type: str, **other: Any) -> Case:
    request = {
        "params": {"taskId": TASK},
        "content": content,
        "headers": {"content-type": media_type},
    }
    return Case(id=id, path=f"{API}/talk-to-ai", request=request, field="audio", **other)


ROOM = {"roomId": "r", "streamId": "s"}

CREATE = [
    json_case("create-empty", "create-task", {}, "roomId", "required"),
    json_case("create-no-stream", "create-task", {"roomId": "r"}, "streamId", "required"),
    json_case("create-null-room", "create-task", ROOM | {"roomId": None}, "roomId", "required"),
    json_case("create-number-room", "create-task", ROOM | {"roomId": 7}, "roomId", "string"),
    json_case(
        "create-list-stream", "create-task", ROOM | {"streamId": ["s"]}, "streamId", "string"
    ),
    json_case(
        "create-empty-room", "create-task", ROOM | {"roomId": ""}, "roomId", "string.min_len"
    ),
    json_case(
        "create-long-room",
        "create-task",
        ROOM | {"roomId": "房" * 43},
        "roomId",
        "string.max_bytes",
    ),
    json_case(
        "create-odd-stream",
        "create-task",
        ROOM | {"streamId": "a b"},
        "streamId",
        "string.pattern",
    ),
    json_case(
        "create-bad-lang", "create-task", ROOM | {"lang": "english!"}, "lang", "string.pattern"
    ),
    json_case("create-lang-number", "create-task", ROOM | {"lang": 1}, "lang", "string"),
    json_case(
        "create-bad-color",
        "create-task",
        ROOM | {"backgroundColor": "red"},
        "backgroundColor",
        "string.pattern",
    ),
    json_case(
        "create-long-user", "create-task", ROOM | {"userId": "u" * 65}, "userId", "string.max_bytes"
    ),
    json_case(
        "create-short-life",
        "create-task",
        ROOM | {"maxDurationSeconds": 0},
        "maxDurationSeconds",
        "duration.gte",
    ),
    json_case(
        "create-short-idle",
        "create-task",
        ROOM | {"maxIdleSeconds": 29},
        "maxIdleSeconds",
        "duration.gte",
    ),
    json_case(
        "create-negative-life",
        "create-task",
        ROOM | {"maxDurationSeconds": -1},
        "maxDurationSeconds",
        "minimum",
    ),
    json_case(
        "create-endless-life",
        "create-task",
        ROOM | {"maxDurationSeconds": 10**30},
        "maxDurationSeconds",
        "maximum",
    ),
    json_case(
        "create-life-as-text",
        "create-task",
        ROOM | {"maxDurationSeconds": "60"},
        "maxDurationSeconds",
        "integer",
    ),
    json_case(
        "create-life-as-truth",
        "create-task",
        ROOM | {"maxDurationSeconds": True},
        "maxDurationSeconds",
        "integer",
    ),
    json_case("create-array", "create-task", [], "body", "object"),
    json_case("create-text", "create-task", "room", "body", "object"),
    raw_json_case("create-null", "create-task", b"null", field="body", rule="object"),
    Case(
        id="create-long-key",
        path=f"{API}/create-task",
        request={"json": ROOM, "headers": {"idempotency-key": "k" * 256}},
        field="Idempotency-Key",
    ),
    raw_json_case("create-malformed", "create-task", b'{"roomId":', reason="MALFORMED_MESSAGE"),
    raw_json_case("create-not-utf8", "create-task", b'{"a":"\xff"}', reason="MALFORMED_MESSAGE"),
    raw_json_case("create-gbk", "create-task", "房".encode("gbk"), reason="MALFORMED_MESSAGE"),
    Case(
        id="create-compressed",
        path=f"{API}/create-task",
        request={
            "content": gzip.compress(b"{}"),
            "headers": {"content-type": "application/json", "content-encoding": "gzip"},
        },
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Encoding",
        rule="identity",
    ),
    json_case(
        "create-broken-life",
        "create-task",
        ROOM | {"maxDurationSeconds": 60.5},
        "maxDurationSeconds",
        "integer",
    ),
    raw_json_case("create-nested", "create-task", b"[" * 30_000, reason="MALFORMED_MESSAGE"),
    raw_json_case(
        "create-surrogate",
        "create-task",
        b'{"roomId":"\\ud800","streamId":"s"}',
        field="roomId",
        rule="string",
    ),
    raw_json_case(
        "create-too-large",
        "create-task",
        json.dumps({"roomId": "r" * 1_100_000}).encode(),
        status=413,
        reason="PAYLOAD_TOO_LARGE",
    ),
    Case(
        id="create-as-text",
        path=f"{API}/create-task",
        request={"content": b'{"roomId":"r"}', "headers": {"content-type": "text/plain"}},
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Type",
    ),
    Case(
        id="create-as-form",
        path=f"{API}/create-task",
        request={"data": {"roomId": "r"}},
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Type",
    ),
    Case(
        id="create-untyped",
        path=f"{API}/create-task",
        request={"content": b"{}"},
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Type",
    ),
    Case(
        id="create-nothing",
        path=f"{API}/create-task",
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Type",
    ),
]

TALK = [
    json_case("talk-empty", "talk-to-ai", {}, "taskId", "required"),
    json_case("talk-number", "talk-to-ai", {"taskId": 5}, "taskId", "string"),
    json_case("talk-no-id", "talk-to-ai", {"taskId": ""}, "taskId", "min_length"),
    json_case(
        "talk-unknown",
        "talk-to-ai",
        {"taskId": "task_x"},
        None,
        None,
        status=404,
        reason="TASK_NOT_FOUND",
    ),
    json_case(
        "talk-long-id",
        "talk-to-ai",
        {"taskId": "t" * 65, "text": "a"},
        "taskId",
        "string.max_bytes",
    ),
    json_case(
        "talk-blank", "talk-to-ai", {"taskId": TASK, "text": " \n"}, "text", "string.pattern"
    ),
    json_case(
        "talk-long", "talk-to-ai", {"taskId": TASK, "text": "a" * 4001}, "text", "string.max_len"
    ),
    json_case("talk-text-list", "talk-to-ai", {"taskId": TASK, "text": []}, "text", "string"),
    json_case(
        "talk-odd-lang",
        "talk-to-ai",
        {"taskId": TASK, "text": "a", "lang": "?"},
        "lang",
        "string.pattern",
    ),
    json_case(
        "talk-unknown-lang",
        "talk-to-ai",
        {"taskId": TASK, "text": "a", "lang": "tlh"},
        None,
        None,
        reason="LANGUAGE_UNSUPPORTED",
    ),
    json_case("talk-array", "talk-to-ai", [1], "body", "object"),
    raw_json_case("talk-malformed", "talk-to-ai", b"{", reason="MALFORMED_MESSAGE"),
    raw_json_case("talk-nested", "talk-to-ai", b"[" * 25_000, reason="MALFORMED_MESSAGE"),
    raw_json_case("talk-not-utf8", "talk-to-ai", b"\xff\xfe{", reason="MALFORMED_MESSAGE"),
    Case(
        id="talk-untyped",
        path=f"{API}/talk-to-ai",
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Type",
    ),
    Case(
        id="talk-video",
        path=f"{API}/talk-to-ai",
        request={"content": b"x", "headers": {"content-type": "video/mp4"}},
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Type",
    ),
]

FORM = [
    upload_case("form-empty-audio", b"", rule="not_empty"),
    upload_case("form-not-audio", b"certainly not a sound" * 100, rule="decodable"),
    upload_case("form-half-header", make_wav()[:20], rule="complete"),
    upload_case("form-half-wav", make_wav()[:8000], rule="complete"),
    upload_case("form-no-samples", make_wav(0), rule="not_empty"),
    upload_case("form-playlist", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", rule="decodable"),
    upload_case("form-too-long", make_wav(61), reason="AUDIO_TOO_LONG", rule="max_duration"),
    upload_case(
        "form-odd-rate", make_wav(rate=4000), reason="AUDIO_FORMAT_UNSUPPORTED", rule="rate"
    ),
    upload_case(
        "form-picture",
        b"\x89PNG",
        "image/png",
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        rule="media_type",
    ),
    upload_case("form-odd-pcm", b"\x00" * 999, "audio/pcm;rate=16000", rule="whole_samples"),
    Case(
        id="form-no-audio",
        path=f"{API}/talk-to-ai",
        request={"data": {"taskId": TASK}, "files": {"other": ("x", b"x", "audio/wav")}},
        field="other",
        rule="type",
    ),
    Case(
        id="form-audio-as-text",
        path=f"{API}/talk-to-ai",
        request={"files": {"taskId": (None, TASK), "audio": (None, "hello")}},
        field="audio",
        rule="type",
    ),
    Case(
        id="form-nothing-asked",
        path=f"{API}/talk-to-ai",
        request={"files": {"taskId": (None, TASK)}},
        field="audio",
        rule="required",
    ),
    Case(
        id="form-no-task",
        path=f"{API}/talk-to-ai",
        request={"files": {"audio": ("a.wav", make_wav(), "audio/wav")}},
        field="taskId",
        rule="required",
    ),
    Case(
        id="form-both",
        path=f"{API}/talk-to-ai",
        request={
            "data": {"taskId": TASK, "text": "hello"},
            "files": {"audio": ("a.wav", make_wav(), "audio/wav")},
        },
        field="text",
        rule="exclusive",
    ),
    Case(
        id="form-unknown-task",
        path=f"{API}/talk-to-ai",
        request={
            "data": {"taskId": "task_x"},
            "files": {"audio": ("a.wav", make_wav(), "audio/wav")},
        },
        status=404,
        reason="TASK_NOT_FOUND",
    ),
    Case(
        id="form-no-boundary",
        path=f"{API}/talk-to-ai",
        request={"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
        reason="MALFORMED_MESSAGE",
    ),
    Case(
        id="form-broken",
        path=f"{API}/talk-to-ai",
        request={
            "content": b"this is no form",
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        reason="MALFORMED_MESSAGE",
    ),
    Case(
        id="form-odd-charset",
        path=f"{API}/talk-to-ai",
        request={
            "content": b'--x\r\nContent-Disposition: form-data; name="lang"\r\n\r\nen\r\n--x--\r\n',
            "headers": {"content-type": "multipart/form-data; boundary=x; charset=base64"},
        },
        status=415,
        reason="MEDIA_TYPE_UNSUPPORTED",
        field="Content-Type",
        rule="charset",
    ),
]

RAW = [
    raw_audio_case("raw-empty", b"", "audio/wav", reason="AUDIO_INVALID", rule="not_empty"),
    raw_audio_case("raw-odd", b"\0" * 3, "audio/pcm", reason="AUDIO_INVALID", rule="whole_samples"),
    raw_audio_case("raw-noise", b"\1" * 500, "audio/ogg", reason="AUDIO_INVALID", rule="decodable"),
    raw_audio_case(
        "raw-rate",
        b"\0" * 320,
        "audio/pcm;rate=44100",
        reason="AUDIO_FORMAT_UNSUPPORTED",
        rule="rate",
    ),
    raw_audio_case(
        "raw-rate-word",
        b"\0" * 320,
        "audio/L16;rate=fast",
        reason="AUDIO_FORMAT_UNSUPPORTED",
        rule="rate",
    ),
    raw_audio_case(
        "raw-stereo",
        b"\0" * 320,
        "audio/pcm;channels=2",
        reason="AUDIO_FORMAT_UNSUPPORTED",
        rule="channels",
    ),
    raw_audio_case(
        "raw-too-long",
        b"\0" * (61 * 32_000),
        "audio/pcm",
        reason="AUDIO_TOO_LONG",
        rule="max_duration",
    ),
    Case(
        id="raw-no-task",
        path=f"{API}/talk-to-ai",
        request={"content": make_wav(), "headers": {"content-type": "audio/wav"}},
        field="taskId",
        rule="required",
    ),
]

OTHERS = [
    json_case("stop-empty", "stop-task", {}, "taskId", "required"),
    json_case(
        "stop-unknown",
        "stop-task",
        {"taskId": "x"},
        None,
        None,
        status=404,
        reason="TASK_NOT_FOUND",
    ),
    json_case("interrupt-empty", "interrupt", {}, "taskId", "required"),
    json_case(
        "interrupt-unknown",
        "interrupt",
        {"taskId": "x"},
        None,
        None,
        status=404,
        reason="TASK_NOT_FOUND",
    ),
    json_case("say-no-text", "say", {"taskId": TASK}, "text", "required"),
    json_case("say-blank", "say", {"taskId": TASK, "text": " "}, "text", "string.pattern"),
    json_case(
        "say-odd-priority",
        "say",
        {"taskId": TASK, "text": "a", "priority": "MAX"},
        "priority",
        "enum",
    ),
    json_case("action-none", "action", {"taskId": TASK}, "action", "required"),
    json_case("action-empty", "action", {"taskId": TASK, "action": ""}, "action", "string.min_len"),
    json_case(
        "action-unknown-task",
        "action",
        {"taskId": "x", "action": "nod"},
        None,
        None,
        status=404,
        reason="TASK_NOT_FOUND",
    ),
    Case(id="token-no-user", path="/api/token", method="GET", field="userId", rule="required"),
    Case(
        id="token-empty-user",
        path="/api/token?userId=",
        method="GET",
        field="userId",
        rule="string.min_len",
    ),
    Case(
        id="token-odd-stream",
        path="/api/token?userId=u&publish=a%20b",
        method="GET",
        field="publish",
        rule="string.pattern",
    ),
    Case(
        id="list-odd-size",
        path=f"{API}/tasks?pageSize=many",
        method="GET",
        field="pageSize",
        rule="integer",
    ),
    Case(
        id="list-big-size",
        path=f"{API}/tasks?pageSize=1001",
        method="GET",
        field="pageSize",
        rule="maximum",
    ),
    *(
        Case(
            id=f"list-size-{size}",
            path=f"{API}/tasks?pageSize={size}",
            method="GET",
            field="pageSize",
            rule="minimum",
        )
        for size in (0, -1)
    ),
    Case(
        id="list-odd-state",
        path=f"{API}/tasks?state=DANCING",
        method="GET",
        field="state",
        rule="enum",
    ),
    Case(
        id="get-unknown", path=f"{API}/tasks/x", method="GET", status=404, reason="TASK_NOT_FOUND"
    ),
    Case(
        id="conversation-unknown",
        path=f"{API}/tasks/x/conversation",
        method="GET",
        status=404,
        reason="TASK_NOT_FOUND",
    ),
    Case(
        id="conversation-odd-format",
        path=f"{API}/tasks/x/conversation?format=pdf",
        method="GET",
        field="format",
        rule="enum",
    ),
    Case(
        id="events-unknown",
        path=f"{API}/tasks/x/events",
        method="GET",
        status=404,
        reason="TASK_NOT_FOUND",
    ),
    Case(
        id="events-odd-id",
        path=f"{API}/tasks/x/events",
        method="GET",
        request={"headers": {"last-event-id": "seven"}},
        field="Last-Event-ID",
        rule="integer",
    ),
    Case(
        id="events-negative",
        path=f"{API}/tasks/x/events?after=-1",
        method="GET",
        field="after",
        rule="minimum",
    ),
    Case(
        id="events-future",
        path=f"{API}/tasks/{TASK}/events?after=99",
        method="GET",
        reason="SEQUENCE_OUT_OF_RANGE",
    ),
    Case(id="callback-empty", path="/api/callbacks/zego", field="body", rule="bytes.min_len"),
    Case(
        id="callback-forged",
        path="/api/callbacks/zego",
        request={"json": {"Signature": "bad"}},
        status=401,
        reason="CALLBACK_INVALID",
    ),
    Case(id="no-route", path="/api/nothing", method="GET", status=404, reason="ROUTE_NOT_FOUND"),
    Case(id="no-asset", path="/web/no.js", method="GET", status=404, reason="ROUTE_NOT_FOUND"),
    Case(id="escape", path="/web/..%2fapp.py", method="GET", status=404, reason="ROUTE_NOT_FOUND"),
    Case(
        id="trailing-slash", path="/api/token/", method="GET", status=404, reason="ROUTE_NOT_FOUND"
    ),
]

CASES = [*CREATE, *TALK, *FORM, *RAW, *OTHERS]


def with_task(value: Any, task_id: str) -> Any:
    """Put the task's id where the case has the stand-in."""
    match value:
        case str():
            return value.replace(TASK, task_id)
        case dict():
            return {name: with_task(each, task_id) for name, each in value.items()}
        case list() | tuple():
            return type(value)(with_task(each, task_id) for each in value)
        case _:
            return value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[RunningGateway]:
    """One gateway for all cases: none of them may harm it."""
    async with running_gateway() as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_bad_input_is_a_problem(gateway: RunningGateway, case: Case) -> None:
    task_id = await gateway.create(f"for-{case.id}")
    answer = await gateway.client.request(
        case.method, case.path.replace(TASK, task_id), **with_task(case.request, task_id)
    )
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (case.status, case.reason), problem
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:digitalhuman:error:{case.reason}"
    assert problem["success"] is False
    assert problem["error"] == problem["detail"]
    assert problem["requestId"] == answer.headers["x-request-id"]
    fields = {each["field"]: each["rule"] for each in problem["violations"]}
    if case.field is None:
        assert fields == {}
    else:
        assert case.field in fields, fields
        assert case.rule in (None, fields[case.field])
    for leak in ("Traceback", "Error(", "grpc", "av.error", "pydantic"):
        assert leak not in answer.text
    alive = await gateway.client.get("/readyz")
    assert alive.status_code == 200


async def test_cases_are_many_and_distinct() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{API}/create-task", "POST"),
        ("DELETE", f"{API}/talk-to-ai", "POST"),
        ("POST", "/api/token", "GET"),
        ("PUT", f"{API}/tasks", "GET"),
    ],
)
async def test_wrong_method_names_the_right_one(
    gateway: RunningGateway, method: str, path: str, allowed: str
) -> None:
    answer = await gateway.client.request(method, path)
    assert answer.status_code == 405
    assert answer.json()["reason"] == "METHOD_NOT_ALLOWED"
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("size", [600_000, 2**20, 2 * 2**20])
async def test_a_question_in_writing_is_no_upload(gateway: RunningGateway, size: int) -> None:
    question = {"taskId": "x", "text": "a" * size}
    answer = await gateway.client.post(f"{API}/talk-to-ai", json=question)
    assert answer.status_code == 413
    assert answer.json()["metadata"] == {"maxBytes": str(512 * 1024)}


async def test_huge_upload_is_refused_by_what_it_says(gateway: RunningGateway) -> None:
    answer = await gateway.client.post(
        f"{API}/talk-to-ai?taskId=x",
        content=b"\0" * (26 * 2**20),
        headers={"content-type": "audio/pcm"},
    )
    assert answer.status_code == 413
    assert answer.json()["reason"] == "PAYLOAD_TOO_LARGE"


async def test_huge_upload_is_refused_by_what_arrives(gateway: RunningGateway) -> None:
    chunk = b"\0" * 2**20
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(200):
            sent += len(chunk)
            yield chunk

    answer = await gateway.client.post(
        f"{API}/talk-to-ai?taskId=x", content=endless(), headers={"content-type": "audio/wav"}
    )
    assert answer.status_code == 413
    assert answer.json()["metadata"] == {"maxBytes": str(25 * 2**20)}
    assert sent == 200 * 2**20
