"""JSON Schemas of tools: whether they are valid, and whether arguments fit."""

from collections.abc import Collection, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

LONGEST_MESSAGE = 300
_NOTHING_ELSEWHERE: Registry[Any] = Registry()
"""What a schema refers to is in itself: none is fetched."""


def schema_fault(schema: Mapping[str, Any]) -> str:
    """Return what is wrong with the schema of a tool's arguments; empty if nothing is."""
    if schema.get("type", "object") != "object":
        return "must be the JSON Schema of an object"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"must be a JSON Schema: {error.message[:LONGEST_MESSAGE]}"
    return ""


def argument_fault(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what is wrong with arguments, and where; empty if they fit."""
    validator = Draft202012Validator(schema, registry=_NOTHING_ELSEWHERE)
    try:
        error = best_match(validator.iter_errors(arguments))
    except (Unresolvable, RecursionError):
        return "the arguments cannot be checked: the tool's schema refers to what is not in it"
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
