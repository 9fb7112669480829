"""Tools that the app of a call has: it is told of the call, and answers over its line."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.speech.ports.chat import Tool, ToolCall
from services.speech.tools.tool import Invocation, Limits, ToolError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTool:
    """A function of the app."""

    declaration: Tool
    limits: Limits

    async def call(self, invocation: Invocation) -> str:
        """Return what the app answers; raises ToolError."""
        return await invocation.ask_client(invocation.call)


class ClientCalls:
    """The calls that wait for the app of one conversation."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[str]] = {}

    async def ask(self, call: ToolCall, tell: Callable[[ToolCall], None]) -> str:
        """Tell the app of a call and return its answer; raises ToolError."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[call.call_id] = answer
        try:
            tell(call)
            return await answer
        finally:
            del self._waiting[call.call_id]

    def answer(self, call_id: str, result: str, *, is_error: bool) -> None:
        """Take an answer of the app; one that nobody waits for any more changes nothing."""
        waiting = self._waiting.get(call_id)
        if waiting is None or waiting.done():
            log.info("tool result not awaited")
        elif is_error:
            waiting.set_exception(ToolError(result or "the app could not do it"))
        else:
            waiting.set_result(result)
