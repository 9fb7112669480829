"""Tools of MCP servers, over streamable HTTP or the standard streams of a program.

The library is loaded only where a persona names such a server.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, cast

import httpx2
import structlog
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import get_default_environment, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, CallToolResult, RequestParamsMeta, TextContent

from services.runtime.json_schema import schema_fault, without_properties
from services.runtime.network.proxies import proxy_for
from services.speech.ports.chat import Tool
from services.speech.tools.request import filled_arguments
from services.speech.tools.tool import CallableTool, Invocation, Limits, ToolError

log = structlog.get_logger(__name__)

FIRST_LIST_S = 10.0
"""How long the service waits at its start for a server's list of tools."""
_KEY = "parley/call-key"
"""Names the call in its metadata, the same should it reach the server twice."""
LONGEST_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
"""What vendors of language models do not accept in the name of a tool."""
PAUSES_S = (1.0, 5.0, 30.0)
"""Before a server is connected again; the last one is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpEndpoint:
    """Where a server is: a URL, or a program that is started with some variables."""

    name: str
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """A session with the server."""
        async with AsyncExitStack() as stack:
            if self.url:
                http = await stack.enter_async_context(
                    httpx2.AsyncClient(
                        headers=dict(self.headers),
                        timeout=httpx2.Timeout(30.0, read=300.0),
                        proxy=proxy_for(self.url, os.environ),
                        trust_env=False,
                    )
                )
                transport = streamable_http_client(self.url, http_client=http)
            else:
                transport = stdio_client(
                    StdioServerParameters(
                        command=self.command[0],
                        args=list(self.command[1:]),
                        env={**get_default_environment(), **self.environment},
                    )
                )
            yield await stack.enter_async_context(Client(transport))


class McpServer:
    """Keeps a session with a server; while there is none, it has no tools."""

    def __init__(
        self,
        endpoint: McpEndpoint,
        *,
        allowed: frozenset[str] | None,
        arguments: Mapping[str, Any],
        limits: Limits,
    ) -> None:
        self._endpoint = endpoint
        self._allowed = allowed
        self._arguments = arguments
        self._limits = limits
        self._tools: Mapping[str, CallableTool] = {}
        self._is_listed = asyncio.Event()
        self._is_lost = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        endpoint: McpEndpoint,
        *,
        allowed: frozenset[str] | None,
        limits: Limits,
        arguments: Mapping[str, Any] | None = None,
        first_list_s: float = FIRST_LIST_S,
    ) -> AsyncIterator[Self]:
        """A server that is kept connected until the block ends.

        Each tool gets those of `arguments` that it has parameters for; the model does not choose
        them.
        """
        self = cls(endpoint, allowed=allowed, arguments=arguments or {}, limits=limits)
        keeping = asyncio.create_task(self._keep_connected())
        try:
            try:
                async with asyncio.timeout(first_list_s):
                    await self._is_listed.wait()
            except TimeoutError:
                log.warning("mcp server not connected", server=endpoint.name)
            yield self
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    @property
    def tools(self) -> Mapping[str, CallableTool]:
        """Its tools, by name."""
        return self._tools

    def note_lost(self) -> None:
        """The session has failed."""
        self._is_lost.set()

    async def _keep_connected(self) -> None:
        """Connect, and connect again when the session is lost, until cancelled.

        A session belongs to the task that opened it.
        """
        failures = 0
        while True:
            try:
                async with self._endpoint.connected() as client:
                    self._is_lost.clear()
                    self._tools = await self._listed(client)
                    log.info(
                        "mcp server connected",
                        server=self._endpoint.name,
                        tools=sorted(self._tools),
                    )
                    failures = 0
                    self._is_listed.set()
                    await self._is_lost.wait()
            except Exception as error:
                log.warning(
                    "mcp session failed", server=self._endpoint.name, error=type(error).__name__
                )
            self._tools = {}
            await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
            failures += 1

    async def _listed(self, client: Client) -> Mapping[str, CallableTool]:
        found: dict[str, CallableTool] = {}
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            for each in page.tools:
                if self._allowed is not None and each.name not in self._allowed:
                    continue
                if schema_fault(each.input_schema):
                    log.warning("mcp tool left out", server=self._endpoint.name, tool=each.name)
                    continue
                fixed = self._arguments.keys() & each.input_schema.get("properties", {}).keys()
                declaration = Tool(
                    name=_NOT_IN_NAMES.sub("_", each.name)[:LONGEST_NAME],
                    description=each.description or each.name,
                    parameters=without_properties(each.input_schema, fixed),
                )
                found[declaration.name] = _McpTool(
                    name=each.name,
                    declaration=declaration,
                    limits=self._limits,
                    arguments={name: self._arguments[name] for name in fixed},
                    client=client,
                    server=self,
                )
            cursor = page.next_cursor
            if not cursor:
                return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _McpTool:
    """One tool of a server that is connected."""

    name: str
    declaration: Tool
    limits: Limits
    arguments: Mapping[str, Any]
    client: Client
    server: McpServer

    async def call(self, invocation: Invocation) -> str:
        """Return the text of the result; raises ToolError."""
        fixed = filled_arguments(self.arguments, invocation.variables)
        arguments: dict[str, Any] = {**invocation.arguments, **fixed}
        try:
            result = await self.client.call_tool(
                self.name,
                arguments,
                meta=cast(RequestParamsMeta, {_KEY: invocation.key}),
            )
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                self.server.note_lost()
            raise ToolError(f"the tool failed: {error.message[:300]}") from None
        except Exception as error:
            self.server.note_lost()
            raise ToolError(f"the tool cannot be reached: {type(error).__name__}") from None
        text = _text(result)
        if result.is_error:
            raise ToolError(text or "the tool failed")
        return text


def _text(result: CallToolResult) -> str:
    texts = [each.text for each in result.content if isinstance(each, TextContent)]
    if texts or result.structured_content is None:
        return "\n".join(texts)
    return str(result.structured_content)
