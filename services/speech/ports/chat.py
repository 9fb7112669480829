"""A language model that continues a dialogue."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, Self, TypeAlias

from services.speech.control_tokens import (
    json_without_control_tokens,
    schema_without_control_tokens,
    without_control_tokens,
)
from services.speech.ports.usage import OnUsage, ignore_usage


class Role(StrEnum):
    """The author of a chat message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    def without_control_tokens(self) -> Self:
        """Return the tool with plain descriptions: a server elsewhere may have written them."""
        return replace(
            self,
            description=without_control_tokens(self.description),
            parameters=schema_without_control_tokens(self.parameters),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model calls a tool; `arguments` is JSON text as the model wrote it, perhaps invalid."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of the dialogue that a chat model continues.

    An ASSISTANT message may call tools; for each call a TOOL message follows, whose content is the
    result of the call that `call_id` names. No message holds a control token of any model: whoever
    wrote a part of it has no say in which role the model takes the rest for.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""

    def __post_init__(self) -> None:
        """Break control tokens, also in calls that the model itself has written."""
        plain = tuple(
            replace(each, arguments=json_without_control_tokens(each.arguments))
            for each in self.tool_calls
        )
        object.__setattr__(self, "content", without_control_tokens(self.content))
        object.__setattr__(self, "tool_calls", plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A dialogue to continue, and the tools that the model may call."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...] = ()
    on_usage: OnUsage = field(default=ignore_usage, compare=False)

    def __post_init__(self) -> None:
        """Break control tokens in what is said of tools."""
        plain = tuple(each.without_control_tokens() for each in self.tools)
        object.__setattr__(self, "tools", plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatUsage:
    """The tokens of a reply as the vendor counts them; `cached` is a part of `input`."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int


ChatItem: TypeAlias = str | ToolCall | ChatUsage
"""A piece of a reply: a delta of the text that is spoken, a whole call, or what it all used."""


class ChatModel(Protocol):
    """A language model that continues a dialogue."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply as it is written, without the model's thoughts.

        A reply has a word or a call; one without either is a ProviderMuteError.
        """
