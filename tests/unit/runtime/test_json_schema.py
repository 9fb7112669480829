"""Schemas of tools, which others write."""

import asyncio

import pytest

from services.runtime.json_schema import argument_fault


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
        assert "refers to what is not in it" in fault
        assert not asked.is_set()


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$ref": "#/$defs/none"}])
def test_a_schema_that_leads_nowhere_refuses(schema: dict[str, object]) -> None:
    assert argument_fault({}, schema)
