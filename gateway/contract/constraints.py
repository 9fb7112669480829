"""The rules that the services' protos have for a field, as JSON Schema for OpenAPI."""

import re
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.message import Message

PATTERN = re.compile(r"this\.matches\('(.*)'\)")
NOT_BLANK = (
    r"[^\s\u0000-\u001f\u007f-\u009f\u00ad"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\ue000-\uf8ff\ufeff]"
)
"""Some character that is neither space nor control, for readers without Unicode classes."""


def constraints(message: type[Message], field: str) -> dict[str, Any]:
    """Return the JSON Schema of a field's rules, so that the document describes what is checked.

    A length in bytes becomes one in characters, which no text within the rule exceeds.
    """
    options = message.DESCRIPTOR.fields_by_name[field].GetOptions()
    rules = options.Extensions[validate_pb2.field]
    may_be_empty = rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE
    schema: dict[str, Any] = {}
    match rules.WhichOneof("type"):
        case "string":
            schema = _of_text(rules.string, may_be_empty=may_be_empty)
        case "duration":
            schema["minimum"] = rules.duration.gte.seconds
            if rules.duration.HasField("lte"):
                schema["maximum"] = rules.duration.lte.seconds
    for rule in rules.cel:
        pattern = PATTERN.fullmatch(rule.expression)
        if pattern:
            # The one rule with Unicode classes, which not every reader of JSON Schema knows.
            known = NOT_BLANK if r"\p" in pattern[1] else pattern[1]
            schema["pattern"] = f"^$|{known}" if may_be_empty else known
    return schema


def _of_text(rules: validate_pb2.StringRules, *, may_be_empty: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    if rules.min_len and not may_be_empty:
        schema["minLength"] = rules.min_len
    if longest := rules.max_len or rules.max_bytes:
        schema["maxLength"] = longest
    return schema
