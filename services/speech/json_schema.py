"""JSON Schemas of tools: whether they are valid, and whether arguments fit."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

LONGEST_MESSAGE = 300


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
    error = best_match(Draft202012Validator(schema).iter_errors(arguments))
    if error is None:
        return ""
    place = ".".join(map(str, error.absolute_path)) or "the arguments"
    return f"{place}: {error.message[:LONGEST_MESSAGE]}"
