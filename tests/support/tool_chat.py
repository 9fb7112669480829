"""A language model that calls tools as a test says."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from services.speech.ports.chat import ChatItem, ChatMessage, ChatRequest, Role, ToolCall

Script: TypeAlias = Callable[[ChatRequest], Sequence[ChatItem]]


@dataclass(slots=True, kw_only=True)
class ToolChat:
    """Answers each request with what its script returns for it."""

    script: Script
    name: str = "scripted"
    requests: list[ChatRequest] = field(default_factory=list)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield what the script returns."""
        check_history(request.messages)
        self.requests.append(request)
        for item in self.script(request):
            yield item


def called(name: str, arguments: str = "{}") -> ToolCall:
    """Return a call whose id the model does not make unique."""
    return ToolCall(call_id="call_0", name=name, arguments=arguments)


def results(messages: Sequence[ChatMessage]) -> list[str]:
    """Return what the model is told that tools answered, since the user spoke last."""
    last = max(at for at, each in enumerate(messages) if each.role is Role.USER)
    return [each.content for each in messages[last:] if each.role is Role.TOOL]


def check_history(messages: Sequence[ChatMessage]) -> None:
    """See that vendors accept a dialogue: each call has its own id, and is answered at once."""
    ids = [call.call_id for message in messages for call in message.tool_calls]
    assert len(set(ids)) == len(ids)
    awaited: list[str] = []
    for message in messages:
        if message.role is Role.TOOL:
            assert message.call_id == awaited.pop(0)
        else:
            assert not awaited
        awaited += [call.call_id for call in message.tool_calls]
    assert not awaited
