"""The OpenAPI document: what FastAPI cannot infer from the handlers' signatures."""

import asyncio
from functools import cache
from threading import Lock
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.contract import bodies, events, models, problems, turn_models
from gateway.contract.json_model import JsonModel
from services.runtime.failures.reasons import RULES, Reason

# What the bundled Swagger UI reads.
OPENAPI_VERSION = "3.0.3"
REF = "#/components/schemas/{model}"
ALWAYS = (
    Reason.INVALID_REQUEST,
    Reason.MALFORMED_MESSAGE,
    Reason.RATE_LIMITED,
    Reason.CREDENTIALS_INVALID,
    Reason.PERMISSION_DENIED,
    Reason.PAYLOAD_TOO_LARGE,
    Reason.DEPENDENCY_UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED,
    Reason.INTERNAL,
)
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}
# What handlers read or write by themselves: bodies, answers, and the events of lines and streams.
EXTRA_MODELS: tuple[type[BaseModel], ...] = (
    models.Problem,
    bodies.TalkBody,
    turn_models.TurnAnswer,
    events.LineMessage,
    events.TurnEvent,
    events.TaskEvent,
)


def _ref(model: type[JsonModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _field(name: str) -> dict[str, Any]:
    """Return the schema of a question's field, which is the same in a form and in a query."""
    described: dict[str, Any] = bodies.TalkBody.model_json_schema()["properties"][name]
    # A text cannot be null.
    return {key: value for key, value in described.items() if key not in ("nullable", "default")}


_RECORDINGS = "wav, webm, ogg, mp3, m4a, flac, caf, aiff, pcm"
_AUDIO = {"type": "string", "format": "binary"}
TALK_REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": _field(name),
            "description": f"With an `audio/*` body: {meaning}",
        }
        for name, meaning in (
            ("taskId", "the task."),
            ("lang", "the language."),
            ("cutOnLeave", "`true`: leaving before the answer cuts the turn off."),
        )
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _ref(bodies.TalkBody)},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["taskId"],
                    "properties": {
                        "taskId": _field("taskId"),
                        "lang": _field("lang"),
                        "cutOnLeave": _field("cutOnLeave"),
                        "audio": {**_AUDIO, "description": _RECORDINGS},
                        "text": _field("text"),
                    },
                }
            },
            "audio/*": {"schema": _AUDIO},
        },
    },
}


def failures(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of an endpoint, by status."""
    by_status: dict[int, list[Reason]] = {}
    for reason in dict.fromkeys((*reasons, *ALWAYS)):
        by_status.setdefault(RULES[reason].http_status, []).append(reason)
    return {
        status: {
            "description": ", ".join(f"{reason}: {RULES[reason].title}" for reason in found),
            "content": {problems.MEDIA_TYPE: {"schema": _ref(models.Problem)}},
        }
        for status, found in by_status.items()
    }


def turn_answers(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an endpoint that runs a turn."""
    spoken = {
        "description": "The turn: when it is over, when it begins to be heard, or as live events.",
        "content": {
            "application/json": {"schema": _ref(turn_models.TurnAnswer)},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
    common = (
        Reason.INVALID_REQUEST,
        Reason.MALFORMED_MESSAGE,
        Reason.MEDIA_TYPE_UNSUPPORTED,
        Reason.LANGUAGE_UNSUPPORTED,
        Reason.TASK_NOT_FOUND,
        Reason.TASK_NOT_ON_AIR,
        Reason.TASK_ENDED,
        Reason.PAYLOAD_TOO_LARGE,
        Reason.SYNTHESIS_UNAVAILABLE,
        Reason.DRIVE_LOST,
        Reason.DEADLINE_EXCEEDED,
    )
    early = {
        "description": "The turn whose reply begins to be heard, with `Prefer: respond-async`.",
        "content": {"application/json": {"schema": _ref(turn_models.TurnAnswer)}},
    }
    return {200: spoken, 202: early, **failures(*common, *reasons)}


def install_openapi(app: FastAPI, *, path: str, needs_key: bool) -> None:
    """Have the application describe itself at a path, in the version that Swagger UI reads."""
    describing = Lock()

    def describe() -> dict[str, Any]:
        with describing:
            if app.openapi_schema is None:
                app.openapi_schema = _describe(app, needs_key)
            return app.openapi_schema

    @cache
    def document() -> bytes:
        return bytes(JSONResponse(describe()).body)

    async def serve(request: Request) -> Response:
        # A gateway that has not described itself yet takes a quarter of a second, in which others
        # are served.
        return Response(await asyncio.to_thread(document), media_type="application/json")

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way
    app.add_route(path, serve, methods=["GET"], include_in_schema=False)


def _describe(app: FastAPI, needs_key: bool) -> dict[str, Any]:
    described = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        openapi_version=OPENAPI_VERSION,
    )
    schemas = described["components"]["schemas"]
    _add_models(schemas)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path in described["paths"].values():
        for operation in path.values():
            # Violations are answered with 400.
            operation["responses"].pop("422", None)
    if needs_key:
        described["components"]["securitySchemes"] = SECURITY_SCHEMES
        described["security"] = [{name: []} for name in SECURITY_SCHEMES]
    simplified: dict[str, Any] = _simplified(described)
    return simplified


def _add_models(schemas: dict[str, Any]) -> None:
    for model in EXTRA_MODELS:
        schema = model.model_json_schema(ref_template=REF, mode="serialization")
        found = {**schema.pop("$defs", {}), model.__name__: schema}
        for name, each in found.items():
            schemas.setdefault(name, each)


def _simplified(node: Any) -> Any:
    """Return a description without what OpenAPI 3.0 lacks: null types, const, examples."""
    if isinstance(node, list):
        return [_simplified(each) for each in node]
    if not isinstance(node, dict):
        return node
    simple = {name: _simplified(value) for name, value in node.items()}
    match simple:
        case {"anyOf": [only, {"type": "null"}]}:
            # Members that are null here are left out of the JSON.
            simple.pop("anyOf")
            simple.pop("default", None)
            simple = only | simple
        case {"const": value}:
            simple.pop("const")
            simple["enum"] = [value]
        case {"examples": [example, *_]}:
            simple.pop("examples")
            simple["example"] = example
    return simple
