"""The types of values in the JSON bodies of the contract, and their rules."""

import json
import re
import unicodedata
from datetime import date
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.contract.constraints import NOT_BLANK, constraints

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})
_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def json_text(value: dict[str, Any]) -> str:
    """Return an object as JSON text in as few characters as it takes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _check_unicode(text: str) -> str:
    # JSON can spell a lone surrogate, which UTF-8 cannot encode.
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "must be valid Unicode") from None
    return text


def _check_text_of(value: dict[str, Any]) -> dict[str, Any]:
    try:
        _check_unicode(json_text(value))
    except RecursionError:
        raise PydanticCustomError("nesting", "must not be nested so deep") from None
    return value


def _check_words(text: str) -> str:
    # White space and control characters, including zero-width ones, cannot be spoken.
    if all(unicodedata.category(character)[0] in "ZC" for character in text):
        raise PydanticCustomError("not_blank", "must not be blank")
    return text


def _check_visible(text: str) -> str:
    # Ids are shown in logs, terminals and lists, which control characters would rewrite.
    # What is printable is no control character, and is told at once however long the text is.
    if not text.isprintable() and any(unicodedata.category(each) in _UNSEEN for each in text):
        raise PydanticCustomError("visible", "must not hold control characters")
    return text


def _check_uuid(text: str) -> str:
    # Python accepts more spellings of UUIDs than the services do.
    if not _UUID.fullmatch(text):
        raise PydanticCustomError("uuid", "must be a UUID: 32 hexadecimal digits in five groups")
    return text


def _check_day(text: str) -> date:
    # Pydantic also takes Unix times, and Python other forms of ISO 8601.
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise PydanticCustomError("date", "must be a day such as 2026-01-31")


def _read_whole(value: Any) -> Any:
    # JSON has one kind of number, and libraries with one type for all of them write 60 as 60.0.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _empty_is_absent(value: Any) -> Any:
    return None if value == "" else value


Text = Annotated[str, AfterValidator(_check_unicode)]
_Sequence = Annotated[int, Field(strict=False, ge=0, le=2**63 - 1)]
Position = Annotated[_Sequence | None, BeforeValidator(_empty_is_absent)]
"""The sequence of the last event that a client has; it may be empty as long as there is none."""

Id = Annotated[Text, AfterValidator(_check_visible)]
TaskId = Annotated[
    str,
    Field(
        min_length=1,
        description="Id that create-task returned.",
        json_schema_extra=constraints(speech_pb2.ConverseSetup, "task_id"),
    ),
    AfterValidator(_check_unicode),
]
TaskIdInPath = Annotated[
    str,
    Path(alias="taskId", json_schema_extra=constraints(task_pb2.GetTaskRequest, "task_id")),
]
Words = Annotated[
    str,
    Field(min_length=1, max_length=4000, json_schema_extra={"pattern": NOT_BLANK}),
    AfterValidator(_check_unicode),
    AfterValidator(_check_words),
]
RequestId = Annotated[str, AfterValidator(_check_uuid)]
RequestIdInPath = Annotated[
    str,
    Path(alias="requestId", json_schema_extra={"format": "uuid"}),
    AfterValidator(_check_uuid),
]
Lang = Annotated[
    Text,
    Field(
        description="Language, BCP-47, such as `en` or `zh`, or `auto`: the user's.",
        json_schema_extra=constraints(speech_pb2.ConverseSetup, "language_code"),
    ),
]
# The services have the real limits; these bounds are what a protobuf Duration can hold.
Seconds = Annotated[int, Field(ge=0, le=315_576_000_000), BeforeValidator(_read_whole)]
Days = Annotated[int, Field(ge=1, le=3650), BeforeValidator(_read_whole)]
Day = Annotated[date, BeforeValidator(_check_day)]
Instant = Annotated[str, Field(description="RFC 3339, UTC.", examples=["2026-01-31T12:00:00Z"])]
JsonObject = Annotated[dict[str, Any], AfterValidator(_check_text_of)]
Milliseconds = Annotated[int, Field(description="Milliseconds.")]
