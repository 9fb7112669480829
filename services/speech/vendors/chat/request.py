"""The request for a reply, in a form that the model accepts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from services.speech.plain_dialogue import alternating, without_calls
from services.speech.ports.chat import ChatMessage, ChatRequest, Role, Tool, ToolCall
from services.speech.vendors.http.error_details import ErrorDetail
from services.speech.vendors.http.parameters import Parameters

_NO_SYSTEM_ROLE = re.compile(
    r"system['\"`]?\s+(?:role|message|prompt)s?\b.{0,40}?(?:not|n't|un)\s*(?:be\s+)?"
    r"(?:support|allow|accept)",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"\b(?:tools?|tool[_ ]choice|function[_ ]call(?:ing|s)?|tool[_ ](?:use|call(?:ing|s)?))\b"
    r".{0,60}?(?:not|n't|un)\s*(?:be\s+|been\s+)?(?:support|allow|enabl|available|accept)"
    r"|(?:not|n't)\s+support.{0,40}?\b(?:tools?|tool[_ ]use|function[_ ]call(?:ing|s)?)\b"
    r"|requires --enable-auto-tool-choice",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatBody:
    """The parameters sent with a dialogue, and the form that the dialogue takes.

    `extra` are members that the operator adds; a refusal of these is not argued with.
    """

    parameters: Parameters
    extra: Mapping[str, Any] = field(default_factory=dict)
    has_system_role: bool = True
    """Whether the system message has its own role, or is put before the user's first message."""
    has_tools: bool = True
    """Whether the model can call tools, or must reply without them."""

    def content(self, model: str, request: ChatRequest) -> dict[str, Any]:
        """Return the request's body."""
        messages: Sequence[ChatMessage] = request.messages
        if not self.has_tools:
            messages = alternating(list(without_calls(messages)))
        if not self.has_system_role:
            messages = _folded(messages)
        tools = {"tools": list(map(_tool, request.tools))} if self.has_tools else {}
        return {
            "model": model,
            "messages": list(map(_message, messages)),
            **(tools if request.tools else {}),
            **self.parameters.values,
            **self.extra,
        }

    def without_refused(self, detail: ErrorDetail) -> Self | None:
        """Return the request without what a refusal names; None if it names nothing in it."""
        if self.has_system_role and _NO_SYSTEM_ROLE.search(detail.message):
            return replace(self, has_system_role=False)
        if self.has_tools and _NO_TOOLS.search(detail.message):
            return replace(self, has_tools=False)
        parameters = self.parameters.without_refused(detail)
        return None if parameters is None else replace(self, parameters=parameters)


def _message(message: ChatMessage) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = list(map(_call, message.tool_calls))
        body["content"] = message.content or None
    if message.role is Role.TOOL:
        body["tool_call_id"] = message.call_id
    return body


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    }


def _folded(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with the system message at the beginning of the user's first."""
    system = "\n".join(each.content for each in messages if each.role is Role.SYSTEM)
    rest = [each for each in messages if each.role is not Role.SYSTEM]
    if not system or not rest or rest[0].role is not Role.USER:
        return list(messages)
    return [ChatMessage(role=Role.USER, content=f"{system}\n\n{rest[0].content}"), *rest[1:]]
