"""An MCP server over streamable HTTP, which comes, goes and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette

from services.speech.ports.chat import ToolCall
from services.speech.tools.calls import Call, CallOutcome, Calls
from services.speech.tools.tool import Limits, Toolset

if TYPE_CHECKING:
    # The library takes half a second, which workers that do not run these tests should not spend.
    from services.speech.tools.mcp_server import McpServer


def clock() -> Starlette:
    """A server with three tools."""
    from mcp.server import MCPServer

    server = MCPServer("clock")

    @server.tool(name="add.hours")
    def add_hours(hours: int) -> str:
        """Add hours to noon."""
        if hours > 11:
            raise ValueError("too late")
        return f"{12 + hours} o'clock"

    @server.tool()
    def weather(city: str, day: str) -> str:
        """Forecast."""
        return f"rain in {city} on {day}"

    @server.tool()
    def secret() -> str:
        """Nobody may call this."""
        return "secret"

    return server.streamable_http_app()


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[int]:
    """The server on a port."""
    config = uvicorn.Config(clock(), host="127.0.0.1", port=port, log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def connected(port: int, **options: Any) -> AsyncIterator["McpServer"]:
    """A client that keeps a session with the server on a port."""
    from services.speech.tools.mcp_server import McpEndpoint, McpServer

    endpoint = McpEndpoint(name="clock", url=f"http://127.0.0.1:{port}/mcp")
    chosen = {"allowed": None, "limits": Limits(timeout_s=5), **options}
    async with McpServer.open(endpoint, **chosen) as server:
        yield server


async def outcome(calls: Calls, toolset: Toolset, hours: int) -> tuple[CallOutcome | None, str]:
    """Call the tool."""
    written = ToolCall(call_id="", name="add_hours", arguments=f'{{"hours": {hours}}}')
    call = Call(written, toolset)
    calls.begin(call, lambda call: None)
    await call.over.wait()
    return call.outcome, call.result


async def test_a_server_over_http_is_called() -> None:
    async with (
        serving() as port,
        Calls.open() as calls,
        connected(port, allowed=frozenset(["add.hours"])) as server,
    ):
        toolset = Toolset(sources=(server,))
        [declared] = toolset.declarations
        assert (declared.name, declared.description) == ("add_hours", "Add hours to noon.")
        assert await outcome(calls, toolset, 3) == (CallOutcome.SUCCEEDED, "15 o'clock")
        assert (await outcome(calls, toolset, 20))[0] is CallOutcome.FAILED


async def test_a_server_that_is_away_has_no_tools() -> None:
    async with connected(9, first_list_s=0.2) as server:
        assert server.tools == {}


async def test_fixed_arguments_are_given_to_the_tools_that_take_them() -> None:
    async with (
        serving() as port,
        Calls.open() as calls,
        connected(port, arguments={"city": "{{city}}", "unknown": 1}) as server,
    ):
        toolset = Toolset(sources=(server,), variables={"city": "Oslo"})
        declared = {each.name: each.parameters for each in toolset.declarations}
        assert declared["weather"]["properties"].keys() == {"day"}
        assert declared["weather"]["required"] == ["day"]
        written = ToolCall(call_id="", name="weather", arguments='{"day": "monday"}')
        call = Call(written, toolset)
        calls.begin(call, lambda call: None)
        await call.over.wait()
        assert (call.outcome, call.result) == (CallOutcome.SUCCEEDED, "rain in Oslo on monday")
