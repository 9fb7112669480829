"""The rules that the services' protos have for a field, as JSON Schema for OpenAPI."""

import re
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.message import Message

PATTERN = re.compile(r"this\.matches\('(.*)'\)")


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
            schema = {"minimum": rules.duration.gte.seconds, "maximum": rules.duration.lte.seconds}
    for rule in rules.cel:
        pattern = PATTERN.fullmatch(rule.expression)
        # Not every reader of JSON Schema knows Unicode character classes.
        if pattern and r"\p" not in pattern[1]:
            schema["pattern"] = f"^$|{pattern[1]}" if may_be_empty else pattern[1]
    return schema


def _of_text(rules: validate_pb2.StringRules, *, may_be_empty: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    if rules.min_len and not may_be_empty:
        schema["minLength"] = rules.min_len
    if longest := rules.max_len or rules.max_bytes:
        schema["maxLength"] = longest
    return schema
