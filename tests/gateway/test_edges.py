"""What surrounds the calls: request ids, probes, metrics, the docs, failures behind."""

import asyncio
import errno
import json
import re

import pytest
from starlette.requests import ClientDisconnect

from gateway.contract.problems import visible_error
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason
from tests.support.gateway_rig import RunningGateway, running_gateway

API = "/api/digital-human"


async def test_a_request_id_is_kept_or_made(gateway: RunningGateway) -> None:
    kept = await gateway.client.get("/livez", headers={"x-request-id": "trace-1.a:b"})
    assert kept.headers["x-request-id"] == "trace-1.a:b"
    for odd in ("", "a b", "x" * 129, "<script>"):
        made = await gateway.client.get("/livez", headers={"x-request-id": odd})
        assert re.fullmatch(r"[0-9a-f-]{36}", made.headers["x-request-id"])


async def test_readyz_names_what_is_missing(gateway: RunningGateway) -> None:
    assert (await gateway.client.get("/readyz")).json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/", "/openapi.json", "/docs"])
async def test_a_monitor_may_ask_with_head(gateway: RunningGateway, path: str) -> None:
    got = await gateway.client.get(path)
    answer = await gateway.client.head(path)
    assert (answer.status_code, answer.content) == (got.status_code, b"")
    assert answer.headers["content-type"] == got.headers["content-type"]
    assert (await gateway.client.head(f"{API}/tasks")).status_code == 405


async def test_metrics_count_requests_turns_and_problems(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    await gateway.client.post(f"{API}/talk-to-ai", json={"taskId": task_id, "text": "Hi"})
    await gateway.client.get(f"{API}/tasks/unknown")
    text = (await gateway.client.get("/metrics")).text
    for line in (
        r'parley_http_requests_total\{method="POST",route="/api/digital-human/talk-to-ai",'
        r'status="200"\} [1-9]',
        r'parley_http_requests_total\{method="GET",route="/api/digital-human/tasks/\{taskId\}",'
        r'status="404"\} [1-9]',
        r'parley_http_turns_total\{outcome="finished"\} [1-9]',
        r"parley_http_first_sound_seconds_count [1-9]",
        r"parley_http_interruptions_total \d",
        r'parley_http_problems_total\{reason="TASK_NOT_FOUND"\} [1-9]',
    ):
        assert re.search(line, text), line
    assert task_id not in text


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.asyncio(loop_scope="module")
async def test_every_reason_has_its_status(
    shared_gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    failure = ServiceError(reason, "Something.", attempt="2")
    monkeypatch.setitem(shared_gateway.script.errors, "GetTask", failure)
    answer = await shared_gateway.client.get(f"{API}/tasks/x")
    assert answer.status_code == RULES[reason].http_status
    problem = answer.json()
    assert (problem["reason"], problem["code"]) == (reason, RULES[reason].code.name)
    assert (problem["title"], problem["detail"]) == (RULES[reason].title, "Something.")
    assert problem["metadata"] == {"attempt": "2"}
    assert ("retry-after" in answer.headers) == (answer.status_code in (429, 503))


async def test_a_failure_nobody_foresaw_tells_nothing(gateway: RunningGateway) -> None:
    gateway.script.errors["GetTask"] = RuntimeError("secret")  # type: ignore[assignment]
    answer = await gateway.client.get(f"{API}/tasks/x")
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert "secret" not in answer.text


async def test_a_dead_service_is_unavailable() -> None:
    async with running_gateway() as gateway:
        task_id = await gateway.create()
        await gateway.stop_services()
        for path in ("/readyz", f"{API}/tasks/{task_id}"):
            answer = await gateway.client.get(path)
            assert (answer.status_code, answer.json()["reason"]) == (503, "DEPENDENCY_UNAVAILABLE")
        missing = (await gateway.client.get("/readyz")).json()["metadata"]["missing"]
        assert "digitalhuman.speech.v1.SpeechService" in missing


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "audio/wav"]
)
async def test_a_body_that_stops_is_given_up(content_type: str) -> None:
    async with running_gateway(body_idle_s=0.2) as gateway:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {API}/talk-to-ai?taskId=x HTTP/1.1\r\nHost: {host}\r\n"
        head += f"Content-Type: {content_type}\r\nContent-Length: 100\r\n"
        head += "Connection: close\r\n\r\n--x"
        writer.write(head.encode())
        status = await reader.readline()
        rest = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert status.split()[1] == b"400"
        assert b"MALFORMED_MESSAGE" in rest


def test_a_client_that_leaves_within_its_body_is_no_fault_of_ours() -> None:
    assert visible_error(ClientDisconnect()).reason is Reason.CANCELLED


def test_a_full_disk_is_a_lack_of_room() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/secret/path")
    seen = visible_error(error)
    assert seen.reason is Reason.CAPACITY_EXCEEDED
    assert "secret" not in seen.message


async def test_a_proxy_that_keeps_websockets_out_is_told_of(gateway: RunningGateway) -> None:
    answer = await gateway.client.get(f"{API}/talk", params={"taskId": "task_1"})
    assert (answer.status_code, answer.json()["reason"]) == (404, "ROUTE_NOT_FOUND")
    assert "`Upgrade`" in answer.json()["detail"]


async def test_config_tells_what_there_is_to_choose(gateway: RunningGateway) -> None:
    config = (await gateway.client.get("/api/config")).json()
    assert config["languages"] == ["en", "zh"]
    assert config["defaultPersonaId"] == "guide"
    assert config["personas"][0]["greetings"] == {"en": "Hello."}
    assert config["digitalHumans"][0]["actions"] == ["nod"]
    assert config["maxAudioSeconds"] == 60


async def test_a_token_is_bound_as_asked(gateway: RunningGateway) -> None:
    answer = await gateway.client.get(
        "/api/token",
        params={"userId": "ada", "roomId": "r", "streamId": "s", "publish": "microphone"},
    )
    assert answer.json()["playback"] == {"protocol": "WHEP", "url": "http://127.0.0.1:9/whep/s"}
    assert answer.json()["appId"] == 1234567890
    (asked,) = gateway.avatars.tokens
    assert (asked.user_id, asked.room_id, asked.stream_id) == ("ada", "r", "s")
    assert asked.publish_stream_id == "microphone"


async def test_callbacks_refresh_only_what_they_tell_of(gateway: RunningGateway) -> None:
    signed = {"Signature": "good", "TaskId": "avatar-1"}
    refreshed = []
    for told in ({"DriveId": "d"}, {"Status": 2}, {}, {"TaskId": ""}):
        answer = await gateway.client.post("/api/callbacks/zego", json=signed | told)
        assert answer.json()["success"] is True
        refreshed.append(len(gateway.tasks.refreshed))
    # A state that is not known is looked up as well.
    assert refreshed == [0, 1, 2, 2]
    assert set(gateway.tasks.refreshed) == {"avatar-1"}


async def test_a_callback_that_cannot_be_confirmed_is_sent_again(gateway: RunningGateway) -> None:
    gateway.script.errors["RefreshTask"] = ServiceError(Reason.CLOUD_UNREACHABLE, "No answer.")
    answer = await gateway.client.post(
        "/api/callbacks/zego", json={"Signature": "good", "TaskId": "a", "Status": 2}
    )
    assert answer.status_code == 503


async def test_the_description_is_openapi_3_0(gateway: RunningGateway) -> None:
    described = (await gateway.client.get("/openapi.json")).json()
    text = json.dumps(described)
    assert described["openapi"] == "3.0.3"
    for unknown_there in ('"type": "null"', '"const":', '"examples":', "HTTPValidationError"):
        assert unknown_there not in text
    schemas = described["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in schemas
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            if path.startswith("/api/"):
                assert "application/problem+json" in operation["responses"]["503"]["content"]
    talk = described["paths"][f"{API}/talk-to-ai"]["post"]
    assert set(talk["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
        "audio/*",
    }


async def test_only_files_named_by_their_digest_are_kept_for_good(gateway: RunningGateway) -> None:
    page = (await gateway.client.get("/")).text
    [script] = re.findall(r'<script [^>]*src="(/web/assets/[^"]+)"', page)
    kept = {
        path: "immutable" in (await gateway.client.get(path)).headers["cache-control"]
        for path in (script, "/", "/clients/v1/parley.js")
    }
    assert kept == {script: True, "/": False, "/clients/v1/parley.js": False}


async def test_pages_load_nothing_from_elsewhere(gateway: RunningGateway) -> None:
    for path in ("/", "/docs"):
        page = (await gateway.client.get(path)).text
        for address in re.findall(r'(?:src|href)="([^"#][^"]*)"', page):
            assert re.match(r"/[^/]", address), address
            assert (await gateway.client.get(address)).status_code == 200


async def test_the_docs_show_themselves_to_no_validator(gateway: RunningGateway) -> None:
    assert '"validatorUrl": null' in (await gateway.client.get("/docs")).text


async def test_a_service_speaks_of_fields_by_the_clients_names(gateway: RunningGateway) -> None:
    gateway.script.errors["GetTask"] = ServiceError(
        Reason.TASK_NOT_FOUND,
        "task_id: there is no such task; see language_code and not snake_case",
        task_id="task_1",
        last_sequence="7",
    )
    problem = (await gateway.client.get("/api/digital-human/tasks/task_1")).json()
    assert problem["detail"] == "taskId: there is no such task; see lang and not snake_case"
    assert problem["metadata"] == {"taskId": "task_1", "lastSequence": "7"}
