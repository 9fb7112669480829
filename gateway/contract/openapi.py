"""The OpenAPI document, and what handlers add to it that FastAPI cannot infer from signatures."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse

from gateway.contract import bodies, models, problems, turn_models
from gateway.contract.json_model import JsonModel
from services.runtime.failures.reasons import RULES, Reason

# `make web` writes it: to describe the handlers takes 0.2 s, too long for a start or for callers.
DOCUMENT = Path(__file__).with_name("openapi.json")
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


def _ref(model: type[JsonModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


_FIELDS: dict[str, dict[str, Any]] = bodies.TalkBody.model_json_schema()["properties"]


def _field(name: str) -> dict[str, Any]:
    """Return the schema of a question's field, which is the same in a form and in a query."""
    # A text cannot be null.
    return {
        key: value for key, value in _FIELDS[name].items() if key not in ("nullable", "default")
    }


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


@cache
def document(*, needs_key: bool) -> bytes:
    """Return the document; where no key is needed, it tells of none."""
    described = json.loads(DOCUMENT.read_bytes())
    if not needs_key:
        del described["security"], described["components"]["securitySchemes"]
    return bytes(JSONResponse(described).body)
