"""The answer of the Messages API: blocks that grow, of which text and calls are the reply."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.speech.answers import has_words
from services.speech.ports.chat import ChatItem, ChatUsage, ToolCall
from services.speech.vendors.chat.markup import Habit, Markup
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.answers import AnswerError
from services.speech.vendors.http.error_details import (
    describe_unexpected,
    read_error,
)
from services.speech.vendors.http.sse import SseError, server_events

_CUT = frozenset(("max_tokens", "model_context_window_exceeded"))
_END = "message_stop"


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, Any]]:
    """Yield an answer's events up to its end; raises AnswerError."""
    is_empty = True
    try:
        async for each in server_events(chunks):
            is_empty = False
            try:
                event = parse_json(each.data)
            except ValueError:
                raise AnswerError("an event is not JSON", describe_unexpected(each.data)) from None
            if not isinstance(event, dict):
                raise AnswerError("an event is not an object")
            if event.get("type") == "error":
                detail = read_error(each.data)
                raise AnswerError("the provider reports an error in its answer", detail)
            if event.get("type") == _END:
                return
            yield event
    except SseError as error:
        raise AnswerError(str(error)) from None
    raise AnswerError("there are no events in it" if is_empty else "it ends in the middle")


@dataclass(slots=True, kw_only=True)
class _ToolUse:
    call_id: str
    name: str
    initial_input: object
    written: str = ""

    def call(self) -> ToolCall:
        given = self.initial_input if isinstance(self.initial_input, dict) else {}
        arguments = self.written.strip() or json.dumps(given, ensure_ascii=False)
        return ToolCall(call_id=self.call_id, name=self.name, arguments=arguments)


class WrittenReply:
    """The message that an answer's events build; thinking is never a part of the reply."""

    def __init__(self, *, has_tools: bool) -> None:
        self.stop_reason = ""
        self._has_tools = has_tools
        self._tool_uses: dict[int, _ToolUse] = {}
        self._has_words = False
        self._has_calls = False
        self._has_thoughts = False
        self._usage: dict[str, int] = {}
        # Other models behind this API think in tags of their own.
        self._markup = Markup(Habit.REPLIES)

    @property
    def usage(self) -> ChatUsage:
        """The tokens used so far."""
        cached = self._usage.get("cache_read_input_tokens", 0)
        written = self._usage.get("cache_creation_input_tokens", 0)
        return ChatUsage(
            input_tokens=self._usage.get("input_tokens", 0) + cached + written,
            cached_tokens=cached,
            output_tokens=self._usage.get("output_tokens", 0),
        )

    @property
    def is_answer(self) -> bool:
        """Whether the message says something or calls a tool."""
        return self._has_words or (self._has_calls and self._has_tools)

    @property
    def is_cut(self) -> bool:
        """Whether the model would have written more."""
        return self.stop_reason in _CUT

    @property
    def silence(self) -> str:
        """Why the message says nothing."""
        if self.stop_reason == "refusal":
            return "the model refuses to reply"
        if self._has_calls:
            return "the model calls tools that it was not given"
        is_thinking = self._has_thoughts or self._markup.is_thinking
        where = " while the model thinks" if is_thinking else ""
        if self.is_cut:
            return f"the reply is cut by its length{where} before a word"
        return f"the reply ends{where} without a word"

    def take(self, event: Mapping[str, Any]) -> Iterator[ChatItem]:
        """Yield what an event adds to the reply; raises AnswerError."""
        match event:
            case {"type": "message_start", "message": {"usage": dict() as usage}}:
                self._count(usage)
            case {
                "type": "content_block_start",
                "index": int(index),
                "content_block": dict() as block,
            }:
                yield from self._begin(index, block)
            case {"type": "content_block_delta", "index": int(index), "delta": dict() as delta}:
                yield from self._grow(index, delta)
            case {"type": "content_block_stop", "index": int(index)}:
                yield from self._end(index)
            case {"type": "message_delta", "delta": dict() as delta}:
                self.stop_reason = str(delta.get("stop_reason") or "")
                yield from self._passed(self._markup.flush(is_cut=self.is_cut))
                self._count(event.get("usage") or {})
            case {"type": "content_block_start" | "content_block_delta" | "message_delta" as kind}:
                raise AnswerError(f"an event {kind} without its content")
            case _:
                pass  # A sign of life, or something new.

    def _begin(self, index: int, block: Mapping[str, Any]) -> Iterator[str]:
        match block:
            case {"type": "text", "text": str(text)}:
                yield from self._say(text)
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                self._tool_uses[index] = _ToolUse(
                    call_id=call_id, name=name, initial_input=block.get("input")
                )
            case {"type": "thinking" | "redacted_thinking"}:
                self._has_thoughts = True

    def _grow(self, index: int, delta: Mapping[str, Any]) -> Iterator[str]:
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                yield from self._say(text)
            case {"type": "input_json_delta", "partial_json": str(piece)}:
                if index in self._tool_uses:
                    self._tool_uses[index].written += piece
            case {"type": "text_delta" | "input_json_delta" as kind}:
                raise AnswerError(f"a {kind} without its content")

    def _end(self, index: int) -> Iterator[ToolCall]:
        if (use := self._tool_uses.pop(index, None)) is not None:
            self._has_calls = True
            if self._has_tools:
                yield use.call()

    def _say(self, text: str) -> Iterator[str]:
        yield from self._passed(self._markup.feed(text))

    def _passed(self, text: str) -> Iterator[str]:
        if text:
            self._has_words = self._has_words or has_words(text)
            yield text

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Note tokens; each count replaces the one before."""
        self._usage |= {name: count for name, count in usage.items() if isinstance(count, int)}
