"""The request for a reply, in the form of the Messages API."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from services.speech.plain_dialogue import without_calls
from services.speech.ports.chat import ChatMessage, ChatRequest, Role, Tool, ToolCall
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.error_details import ErrorDetail
from services.speech.vendors.http.parameters import Parameters

_CACHED = {"cache_control": {"type": "ephemeral"}}
"""Marks the last block of what stays the same from request to request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesBody:
    """The parameters sent with a dialogue; `extra` are members that the operator adds."""

    max_tokens: int
    parameters: Parameters
    extra: Mapping[str, Any] = field(default_factory=dict)

    def content(self, model: str, request: ChatRequest) -> dict[str, Any]:
        """Return the request's body.

        The tools and the system prompt come first and never change, so that the vendor keeps what
        it has made of them.
        """
        dialogue: Sequence[ChatMessage] = request.messages
        if not request.tools:
            # The API refuses calls of tools that it is not told of.
            dialogue = list(without_calls(dialogue))
        system = "\n".join(
            each.content for each in request.messages if each.role is Role.SYSTEM
        ).strip()
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": self.max_tokens,
            "stream": True,
            "messages": _messages(dialogue),
            **self.parameters.values,
        }
        if system:
            body["system"] = [{"type": "text", "text": system, **_CACHED}]
        if request.tools:
            body["tools"] = list(map(_tool, request.tools))
            body["tools"][-1] |= _CACHED
        return {**body, **self.extra}

    def without_refused(self, detail: ErrorDetail) -> Self | None:
        """Return the request without what a refusal names; None if it names nothing in it."""
        parameters = self.parameters.without_refused(detail)
        return None if parameters is None else replace(self, parameters=parameters)


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": {"type": "object", **tool.parameters},
    }


def _messages(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return the dialogue with neighbours of one role merged; results of calls are the user's."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        if message.role is Role.SYSTEM:
            continue
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        blocks = list(_blocks(message))
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += blocks
        elif blocks:
            merged.append({"role": role, "content": blocks})
    return merged


def _blocks(message: ChatMessage) -> Iterator[dict[str, Any]]:
    if message.role is Role.TOOL:
        yield {
            "type": "tool_result",
            "tool_use_id": message.call_id,
            "content": message.content,
        }
        return
    # The API refuses blank blocks.
    if message.content.strip():
        yield {"type": "text", "text": message.content}
    for call in message.tool_calls:
        yield {
            "type": "tool_use",
            "id": call.call_id,
            "name": call.name,
            "input": _input(call),
        }


def _input(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments; what is no object cannot be sent, and its result says so."""
    try:
        arguments = parse_json(call.arguments)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}
