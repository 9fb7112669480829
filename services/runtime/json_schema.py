"""JSON Schemas of tools: whether they are valid, and whether arguments fit.

The library is loaded with the first schema: that takes long, and most processes meet none.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

LONGEST_MESSAGE = 300
MOST_LEVELS = 24
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What vendors of language models accept as the name of an argument."""
_OTHER_KEYWORDS = frozenset(
    {"$schema", "type", "required", "enum", "const"}
    | {"title", "description", "default", "examples", "format"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)
"""Keywords of plain schemas, beside those that hold schemas."""


def schema_fault(schema: Mapping[str, Any]) -> str:
    """Return what is wrong with the schema of a tool's arguments; empty if nothing is."""
    if schema.get("type", "object") != "object":
        return "must be the JSON Schema of an object"
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"must be a JSON Schema: {error.message[:LONGEST_MESSAGE]}"
    return ""


def plain_schema(text: str) -> Mapping[str, Any]:
    """Return the schema of arguments that an application wrote; raises ValueError with the rule.

    It has keywords only whose cost is bounded: no references, and no regular expressions.
    """
    try:
        schema = json.loads(text, parse_constant=_no_number)
        json.dumps(schema, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ValueError("must be the JSON Schema of an object, with type object")
    _check_levels(schema, MOST_LEVELS)
    _check_plain(schema)
    if fault := schema_fault(schema):
        raise ValueError(fault)
    return schema


def _no_number(name: str) -> None:
    raise ValueError(name)


def _check_plain(schema: Any) -> None:
    """Raise ValueError for what an application's schema may not have."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError("must be a JSON Schema: a schema in it is neither an object nor a boolean")
    for keyword, value in schema.items():
        if keyword == "properties":
            if not isinstance(value, dict) or not all(map(_PROPERTY.fullmatch, value)):
                raise ValueError("must have properties of 1 to 64 letters, digits, _, . and -")
            inner = list(value.values())
        elif keyword in ("items", "additionalProperties"):
            inner = [value]
        elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            inner = value if isinstance(value, list) else [value]
        elif keyword in _OTHER_KEYWORDS:
            inner = []
        else:
            raise ValueError(f"must not have the keyword {keyword[:32]}")
        for each in inner:
            _check_plain(each)


def _check_levels(value: Any, levels: int) -> None:
    """Raise ValueError for a value with more levels of objects and lists."""
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise ValueError(f"must have at most {MOST_LEVELS} levels of objects and lists")
    for each in value.values() if isinstance(value, dict) else value:
        _check_levels(each, levels - 1)


def argument_fault(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what is wrong with arguments, and where; empty if they fit."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # What a schema refers to is in itself: nothing is fetched.
    validator = Draft202012Validator(schema, registry=Registry())
    try:
        error = best_match(validator.iter_errors(arguments))
    except (Unresolvable, RecursionError, OverflowError):
        return "the arguments cannot be checked against the tool's schema"
    if error is None:
        return ""
    place = ".".join(map(str, error.absolute_path)) or "the arguments"
    return f"{place}: {error.message[:LONGEST_MESSAGE]}"


def without_properties(schema: Mapping[str, Any], names: Collection[str]) -> Mapping[str, Any]:
    """Return the schema of an object without some of its properties."""
    if not names:
        return schema
    properties = {each: rule for each, rule in schema["properties"].items() if each not in names}
    required = [each for each in schema.get("required", ()) if each not in names]
    return {**schema, "properties": properties, "required": required}
