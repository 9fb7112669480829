"""Schemas of tools, which others write."""

import asyncio
import json
import math
import re

import pytest

from services.runtime.json_schema import argument_fault, plain_schema


async def test_a_schema_fetches_nothing() -> None:
    asked = asyncio.Event()

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        schema = {"properties": {"day": {"$ref": f"http://127.0.0.1:{port}/day.json"}}}
        fault = await asyncio.to_thread(argument_fault, {"day": "monday"}, schema)
        assert "cannot be checked" in fault
        assert not asked.is_set()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/none"},
        {"properties": {"price": {"multipleOf": 0.01}}},
    ],
)
def test_arguments_that_cannot_be_checked_are_refused(schema: dict[str, object]) -> None:
    assert "cannot be checked" in argument_fault({"price": math.inf}, schema)


def test_a_plain_schema_is_taken_as_it_is_written() -> None:
    text = json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "ids": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                "size": {"anyOf": [{"enum": ["大", "小"]}, {"type": "null"}]},
            },
            "required": ["ids"],
            "additionalProperties": False,
        }
    )
    schema = plain_schema(text)
    assert schema == json.loads(text)
    assert argument_fault({"ids": [0]}, schema).startswith("ids.0: ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "must be JSON"),
        ("[" * 3000, "must be JSON"),
        ('{"type": "object", "default": NaN}', "must be JSON"),
        ('{"type": "object", "title": "\\ud800"}', "must be valid Unicode"),
        ("[]", "with type object"),
        ("{}", "with type object"),
        ('{"type": "object", "properties": {"a": {"$ref": "#"}}}', "keyword $ref"),
        ('{"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}}', "keyword pattern"),
        ('{"type": "object", "anyOf": [{"not": {}}]}', "keyword not"),
        ('{"type": "object", "properties": {"ä": {}}}', "properties of"),
        ('{"type": "object", "properties": {"a": 1}}', "neither an object nor a boolean"),
        ('{"type": "object", "properties": {"a": {"type": "whole"}}}', "must be a JSON Schema"),
        ('{"type": "object", "default": ' + "[" * 200 + "]" * 200 + "}", "24 levels"),
        ('{"type": "object", "items": ' + '{"items": ' * 30 + "{}" + "}" * 31, "24 levels"),
    ],
)
def test_what_a_plain_schema_may_not_have_is_named(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=re.escape(rule)):
        plain_schema(text)
