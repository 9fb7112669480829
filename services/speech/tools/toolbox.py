"""The tools of all personas, opened for as long as the service runs."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType

import structlog

from services.speech.personas.catalogue import Personas
from services.speech.personas.tool_format import (
    ClientToolTable,
    HttpToolTable,
    McpServerTable,
    ToolsTable,
)
from services.speech.ports.chat import Tool
from services.speech.tools.client_tool import ClientTool
from services.speech.tools.http_function import HttpFunction
from services.speech.tools.tool import CallableTool, FixedTools, Limits, Toolset, ToolSource

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_toolsets(personas: Personas) -> AsyncIterator[Mapping[str, Toolset]]:
    """The tools of each persona that has some, by its id."""
    async with AsyncExitStack() as stack:
        yield MappingProxyType(
            {
                persona.persona_id: Toolset(sources=await _sources(persona.tools, stack))
                for persona in personas.by_id.values()
                if persona.tools is not None
            }
        )


async def _sources(table: ToolsTable, stack: AsyncExitStack) -> tuple[ToolSource, ...]:
    fixed: dict[str, CallableTool] = {}
    for client in table.client:
        fixed[client.name] = ClientTool(declaration=_declaration(client), limits=_limits(client))
    for http in table.http:
        fixed[http.name] = await stack.enter_async_context(
            HttpFunction.open(
                _declaration(http),
                _limits(http),
                method=http.method,
                url=http.url,
                headers=http.headers,
                secret_headers=_secrets(http),
                arguments=http.arguments,
            )
        )
    servers = [await _open_server(each, stack) for each in table.mcp]
    return (FixedTools(tools=fixed), *servers)


async def _open_server(table: McpServerTable, stack: AsyncExitStack) -> ToolSource:
    # Not before a persona needs it: the library takes a second to load.
    from services.speech.tools.mcp_server import McpEndpoint, McpServer

    endpoint = McpEndpoint(
        name=table.name,
        url=table.url or "",
        headers={**table.headers, **_secrets(table)},
        command=table.command or (),
        environment=_variables(table.environment),
    )
    allowed = None if table.allow is None else frozenset(table.allow)
    return await stack.enter_async_context(
        McpServer.open(endpoint, allowed=allowed, arguments=table.arguments, limits=_limits(table))
    )


def _declaration(table: HttpToolTable | ClientToolTable) -> Tool:
    return Tool(name=table.name, description=table.description, parameters=table.parameters)


def _limits(table: HttpToolTable | ClientToolTable | McpServerTable) -> Limits:
    return Limits(timeout_s=table.timeout_s, result_characters=table.result_characters)


def _secrets(table: HttpToolTable | McpServerTable) -> Mapping[str, str]:
    """Return secret headers; one whose variable is not set is left out, and told."""
    for name, variable in table.secret_headers.items():
        if variable not in os.environ:
            log.warning("secret header left out", tool=table.name, header=name, variable=variable)
    return {
        name: os.environ[variable]
        for name, variable in table.secret_headers.items()
        if variable in os.environ
    }


def _variables(names: Sequence[str]) -> Mapping[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}
