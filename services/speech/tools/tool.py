"""A tool: what the model is told of it, what bounds it, and how it is called."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from services.speech.ports import Tool, ToolCall

LONGEST_RESULT = 20_000
"""Characters of any result, whatever the persona allows."""

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

    Should it reach a server twice, `key` says that it is one call.
    """

    call: ToolCall
    arguments: Mapping[str, Any]
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
class Toolset:
    """The tools of a persona, perhaps only those that a call is allowed."""

    sources: tuple[ToolSource, ...] = ()
    allowed: frozenset[str] | None = None
    """None: all of them."""

    @property
    def tools(self) -> Mapping[str, CallableTool]:
        """The tools that can be called now, by name; of two with one name, the first."""
        found: dict[str, CallableTool] = {}
        for source in self.sources:
            for name, tool in source.tools.items():
                if self.allowed is None or name in self.allowed:
                    found.setdefault(name, tool)
        return found

    def only(self, names: Collection[str]) -> "Toolset":
        """Return the tools of these names."""
        return replace(self, allowed=frozenset(names))

    @property
    def declarations(self) -> tuple[Tool, ...]:
        """What the model is told of them, in an order that stays the same."""
        return tuple(tool.declaration for _, tool in sorted(self.tools.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTools:
    """Tools that are always there."""

    tools: Mapping[str, CallableTool] = field(default_factory=dict)


NO_TOOLS = Toolset()
