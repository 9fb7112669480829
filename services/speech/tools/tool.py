"""A tool: what the model is told of it, what bounds it, and how it is called."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from services.speech.ports.chat import Tool, ToolCall

LONGEST_RESULT = 20_000
"""Characters of any result, whatever the persona allows."""

NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
"""The schema of a tool that takes no arguments."""

AskClient: TypeAlias = Callable[[ToolCall], Awaitable[str]]
"""Has the app of this call do something and returns its result; raises ToolError."""


class ToolError(Exception):
    """A call failed; the message is for the model, and holds nothing that it must not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a call may take, and how many characters of its result the model gets."""

    timeout_s: float = 20.0
    result_characters: int = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A call that is being made, with arguments that fit the tool's schema.

    `variables` are what the application says of the conversation. Should the call reach a server
    twice, `key` says that it is one call.
    """

    call: ToolCall
    arguments: Mapping[str, Any]
    variables: Mapping[str, str]
    key: str
    ask_client: AskClient


class CallableTool(Protocol):
    """Something that the model may have done."""

    @property
    def declaration(self) -> Tool:
        """What the model is told."""

    @property
    def limits(self) -> Limits:
        """What bounds a call."""

    async def call(self, invocation: Invocation) -> str:
        """Do it once and return the result; raises ToolError."""


class ToolSource(Protocol):
    """Where tools come from; they may come and go with a server."""

    @property
    def tools(self) -> Mapping[str, CallableTool]:
        """The tools that can be called now, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsOfCall:
    """What an application says of the tools in one conversation."""

    allowed: frozenset[str] | None = None
    """The only ones that may be called; None: all."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What is known of the conversation, for the requests of tools."""
    added: tuple[CallableTool, ...] = ()
    """Tools beside those of the persona; one of the persona's takes precedence."""


NOTHING_SAID = ToolsOfCall()


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolset:
    """The tools of a persona, perhaps with what is known of one conversation."""

    sources: tuple[ToolSource, ...] = ()
    allowed: frozenset[str] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def tools(self) -> Mapping[str, CallableTool]:
        """The tools that can be called now, by name; of two with one name, the first."""
        found: dict[str, CallableTool] = {}
        for source in self.sources:
            for name, tool in source.tools.items():
                if self.allowed is None or name in self.allowed:
                    found.setdefault(name, tool)
        return found

    def with_call(self, call: ToolsOfCall) -> "Toolset":
        """Return the tools of one conversation."""
        added = FixedTools(tools={each.declaration.name: each for each in call.added})
        return Toolset(
            sources=(*self.sources, added), allowed=call.allowed, variables=call.variables
        )

    @property
    def declarations(self) -> tuple[Tool, ...]:
        """What the model is told of them, in an order that stays the same."""
        return tuple(tool.declaration for _, tool in sorted(self.tools.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTools:
    """Tools that are always there."""

    tools: Mapping[str, CallableTool] = field(default_factory=dict)


NO_TOOLS = Toolset()
