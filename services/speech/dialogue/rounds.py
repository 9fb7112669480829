"""A model's reply with the tools that it calls: it is asked again with what they answered."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog

from services.speech.answers import answered, has_words
from services.speech.ports.chat import ChatMessage, ChatModel, ChatRequest, ToolCall
from services.speech.ports.errors import ProviderMuteError
from services.speech.ports.usage import OnUsage
from services.speech.streams import closing
from services.speech.text.segmentation import PARAGRAPH
from services.speech.tools.calls import ReplyCalls, round_messages
from services.speech.tools.tool import Toolset

log = structlog.get_logger(__name__)

MOST_ROUNDS = 5
"""How often the model may call tools in one reply; then it is told to reply."""

MOST_CALLS = 8
"""How many calls of one round are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tooling:
    """What a reply may have done, and the record of what it had done."""

    toolset: Toolset
    calls: ReplyCalls
    on_usage: OnUsage


async def in_rounds(
    chat: ChatModel, messages: Sequence[ChatMessage], tooling: Tooling
) -> AsyncIterator[str]:
    """Yield the text of all rounds; raises ServiceError when the model fails or is late.

    What the model says before it calls is a paragraph: it is spoken while the tools work.
    """
    dialogue = list(messages)
    has_spoken = False
    for number in range(MOST_ROUNDS + 1):
        text, written = "", []
        try:
            async with closing(_round(chat, dialogue, tooling)) as items:
                async for item in items:
                    if isinstance(item, ToolCall):
                        written.append(item)
                    else:
                        text += item
                        yield item
        except ProviderMuteError:
            if not has_spoken:
                raise
            return  # It has nothing to add to what it said before its calls.
        has_spoken = has_spoken or has_words(text)
        if not written:
            return
        if has_words(text):
            yield PARAGRAPH
        most = MOST_CALLS if number < MOST_ROUNDS else 0
        made = await tooling.calls.run(written, tooling.toolset, most=most)
        dialogue += round_messages(made, text)
    log.warning("reply ended for too many calls")


async def _round(
    chat: ChatModel, dialogue: Sequence[ChatMessage], tooling: Tooling
) -> AsyncIterator[str | ToolCall]:
    request = ChatRequest(
        messages=tuple(dialogue),
        tools=tooling.toolset.declarations,
        on_usage=tooling.on_usage,
    )
    async with closing(answered(chat.stream(request), chat.name)) as items:
        async for item in items:
            if isinstance(item, str | ToolCall):
                yield item
