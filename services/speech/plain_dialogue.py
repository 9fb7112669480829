"""A dialogue for models that cannot call tools: what tools answered becomes a part of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.speech.ports.chat import ChatMessage, Role


def without_calls(messages: Sequence[ChatMessage]) -> Iterator[ChatMessage]:
    """Yield the messages without calls; their results become the user's messages."""
    for message in messages:
        if message.role is Role.TOOL:
            yield ChatMessage(role=Role.USER, content=message.content)
        elif message.content or not message.tool_calls:
            yield replace(message, tool_calls=())


def alternating(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with neighbours of one role merged."""
    merged: list[ChatMessage] = []
    for message in messages:
        if merged and merged[-1].role is message.role:
            message = replace(message, content=f"{merged.pop().content}\n{message.content}")
        merged.append(message)
    return merged
