"""The OpenAPI document is true: what it allows is taken, and what it forbids is refused."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway, running_gateway

OPERATIONS = [
    ("post", "/api/digital-human/create-task"),
    ("post", "/api/digital-human/stop-task"),
    ("post", "/api/digital-human/talk-to-ai"),
    ("post", "/api/digital-human/say"),
    ("post", "/api/digital-human/interrupt"),
    ("post", "/api/digital-human/action"),
    ("post", "/api/digital-human/export-user"),
    ("post", "/api/digital-human/erase-user"),
    ("post", "/api/v1/audio/speech"),
    ("post", "/api/callbacks/zego"),
    ("get", "/api/v1/audio/voices"),
    ("get", "/api/digital-human/tasks"),
    ("get", "/api/digital-human/tasks/{taskId}"),
    ("get", "/api/digital-human/tasks/{taskId}/conversation"),
    ("get", "/api/digital-human/tasks/{taskId}/turns/{turnId}/ledger"),
    ("get", "/api/token"),
    ("get", "/api/config"),
]
GOOD = {
    "roomId": "room_1",
    "streamId": "stream_1",
    "taskId": "task_1",
    "text": "Hello.",
    "action": "nod",
    "userId": "ada",
    "input": "Hello.",
}
ODD: list[Any] = [
    None,
    "",
    " ",
    "\0",
    "a" * 5000,
    "é" * 65,
    0,
    -1,
    1.5,
    10**30,
    True,
    [],
    {},
    "#12",
]
FAILURES = [
    ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "Nobody is there."),
    ServiceError(Reason.DEADLINE_EXCEEDED, "It took too long."),
    ServiceError(Reason.INTERNAL, "Something went wrong."),
    ServiceError(Reason.RATE_LIMITED, "Too fast."),
]
RPCS = (
    *("CreateTask", "StopTask", "GetTask", "ListTasks", "GetConversation", "GetTurn"),
    *("Converse", "ListPersonas", "CreateViewerToken", "PerformAction", "ListDigitalHumans"),
    *("HandleCallback", "ListVoices", "Synthesize", "EraseUser", "ListUsage"),
)


def resolve(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return dict(described["components"]["schemas"][name])
    return schema


def body_of(described: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return resolve(described, content.get("application/json", {}).get("schema", {}))


def ask(gateway: RunningGateway, method: str, path: str, **request: Any) -> Any:
    address = path.replace("{taskId}", "task_1").replace("{turnId}", "1")
    return gateway.client.request(method, address, **request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def described() -> dict[str, Any]:
    """The document of a gateway without keys."""
    async with running_gateway() as gateway:
        return dict((await gateway.client.get("/openapi.json")).json())


def requests(
    described: dict[str, Any], operation: dict[str, Any], rng: random.Random
) -> Iterator[dict[str, Any]]:
    """Requests of every sort: good ones, odd members, no JSON, another type, odd queries."""
    properties = body_of(described, operation).get("properties", {})
    queries = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
    good = {name: GOOD[name] for name in properties if name in GOOD}
    query = {name: GOOD[name] for name in queries if name in GOOD}
    yield {"json": good, "params": query}
    yield {"params": {name: "\0" for name in queries}}
    if properties:
        for name in properties:
            for value in rng.sample(ODD, 3):
                yield {"json": good | {name: value}}
        yield {"json": []}
        yield {"content": b"{", "headers": {"content-type": "application/json"}}
        yield {"content": b"x", "headers": {"content-type": "text/plain"}}
        yield {"content": b" " * 70_000, "headers": {"content-type": "application/json"}}
    for name in queries:
        for value in rng.sample(["", "-1", "0", "x", "é" * 70, "9" * 40], 3):
            yield {"params": query | {name: value}}
    yield {"headers": {"host": "evil.test"}}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_every_status_that_comes_is_described(
    gateway: RunningGateway, described: dict[str, Any], method: str, path: str
) -> None:
    operation = described["paths"][path][method]
    rng = random.Random(path)
    seen = set()
    for request in requests(described, operation, rng):
        answer = await ask(gateway, method, path, **request)
        seen.add(str(answer.status_code))
        if answer.is_error:
            assert answer.json()["status"] == answer.status_code
    good = next(requests(described, operation, rng))
    for failure in FAILURES:
        gateway.script.errors.update(dict.fromkeys(RPCS, failure))
        seen.add(str((await ask(gateway, method, path, **good)).status_code))
    assert seen <= operation["responses"].keys()


async def test_a_missing_key_is_described() -> None:
    async with running_gateway(keys=("key",)) as gateway:
        described = (await gateway.client.get("/openapi.json")).json()
        for method, path in OPERATIONS:
            answer = await ask(gateway, method, path)
            responses = described["paths"][path][method]["responses"]
            assert str(answer.status_code) in responses, path


def is_refused(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is None


def beyond(schema: dict[str, Any]) -> Iterator[Any]:
    """Values just outside of a described member."""
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    if schema.get("minLength"):
        yield ""
    if "pattern" in schema:
        yield "!!" if is_refused(schema["pattern"], "!!") else "\u200b\n"
    if "maximum" in schema:
        yield int(schema["maximum"]) + 1
        yield int(schema["minimum"]) - 1
    yield [] if schema["type"] != "array" else 5


def within(schema: dict[str, Any]) -> Iterator[Any]:
    """Values at the edge of a described member."""
    if "maximum" in schema:
        yield int(schema["maximum"])
        yield int(schema["minimum"])
    elif "maxLength" in schema and not is_refused(schema.get("pattern", ""), "a"):
        yield "a" * schema["maxLength"]
    if schema.get("nullable"):
        yield None


BODIES = [path for method, path in OPERATIONS if method == "post" and "callbacks" not in path]


@pytest.mark.parametrize("path", BODIES)
async def test_members_are_checked_as_they_are_described(
    gateway: RunningGateway, described: dict[str, Any], path: str
) -> None:
    properties = body_of(described, described["paths"][path]["post"])["properties"]
    good = {name: GOOD[name] for name in properties if name in GOOD}
    if "taskId" in good:
        good["taskId"] = await gateway.create()
    for name, schema in properties.items():
        if name == "model":
            continue
        for value in beyond(schema):
            refused = await ask(gateway, "post", path, json=good | {name: value})
            assert refused.status_code == 400, (name, json.dumps(value)[:60])
            assert refused.json()["violations"][0]["field"] == name
        for value in within(schema):
            taken = await ask(gateway, "post", path, json=good | {name: value})
            if taken.is_error and taken.json()["reason"] == "INVALID_REQUEST":
                fields = [each["field"] for each in taken.json()["violations"]]
                assert name not in fields, (name, value)


def test_parameters_and_forms_are_described_like_the_members_that_they_stand_for(
    described: dict[str, Any],
) -> None:
    ids = [
        each["schema"]
        for path in described["paths"].values()
        for operation in path.values()
        for each in operation.get("parameters", ())
        if each["name"] == "taskId"
    ]
    ask_body = described["paths"]["/api/digital-human/talk-to-ai"]["post"]["requestBody"]
    form = ask_body["content"]["multipart/form-data"]["schema"]["properties"]
    assert all((each["minLength"], each["maxLength"]) == (1, 64) for each in (*ids, form["taskId"]))
    for lang in ("de-", "x"):
        assert is_refused(form["lang"]["pattern"], lang)
    assert is_refused(form["text"]["pattern"], " \u200b\n")


@pytest.mark.parametrize("form", ["json", "text"])
async def test_every_type_of_an_answer_is_described(
    gateway: RunningGateway, described: dict[str, Any], form: str
) -> None:
    path = "/api/digital-human/tasks/{taskId}/conversation"
    content = described["paths"][path]["get"]["responses"]["200"]["content"]
    task_id = await gateway.create()
    answer = await gateway.client.get(path.format(taskId=task_id), params={"format": form})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] in content


async def test_a_callback_needs_a_body_and_the_document_says_so(
    gateway: RunningGateway, described: dict[str, Any]
) -> None:
    callbacks = described["paths"]["/api/callbacks/zego"]["post"]
    assert callbacks["requestBody"]["required"]
    assert (await ask(gateway, "post", "/api/callbacks/zego")).status_code == 400


async def test_credentials_are_described_where_they_are_needed(described: dict[str, Any]) -> None:
    async with running_gateway(keys=("key",)) as gateway:
        guarded = (await gateway.client.get("/openapi.json")).json()
    assert guarded.pop("security") == [{"bearer": []}, {"apiKey": []}]
    assert set(guarded["components"].pop("securitySchemes")) == {"bearer", "apiKey"}
    assert guarded == described
    needing_none = {
        path
        for path, operations in described["paths"].items()
        if any(each.get("security") == [] for each in operations.values())
    }
    assert needing_none == {"/livez", "/readyz", "/api/callbacks/zego"}
