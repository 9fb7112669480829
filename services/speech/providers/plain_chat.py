"""The reply alone of any language model, whatever else it writes into its text."""

from collections.abc import AsyncIterator
from dataclasses import replace

from services.speech.answers import answered
from services.speech.ports.chat import ChatItem, ChatModel, ChatRequest, ToolCall
from services.speech.streams import closing
from services.speech.text.characters import half_at_end, readable
from services.speech.vendors.chat.markup import Habit, Markup


class PlainChatModel:
    """A language model without the thinking, calls and control tokens that leak into its text."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's own."""
        return self._model.name

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply; raises what the model raises, and ProviderMuteError."""
        return answered(without_markup(with_characters(self._model.stream(request))), self.name)


async def with_characters(items: AsyncIterator[ChatItem]) -> AsyncIterator[ChatItem]:
    """Yield a reply in characters that can be read; half of one waits for the other half."""
    half = ""
    async with closing(items):
        async for item in items:
            if isinstance(item, ToolCall):
                yield replace(item, arguments=readable(item.arguments))
                continue
            if not isinstance(item, str):
                yield item
                continue
            text = half + item
            half = half_at_end(text)
            if said := readable(text.removesuffix(half)):
                yield said


async def without_markup(items: AsyncIterator[ChatItem]) -> AsyncIterator[ChatItem]:
    """Yield a reply without markers; text after one that ends it cancels the model."""
    markup = Markup(Habit.REPLIES)
    async with closing(items):
        async for item in items:
            if not isinstance(item, str):
                yield item
            elif markup.is_over:
                break
            elif text := markup.feed(item):
                yield text
    if rest := markup.flush(is_cut=False):
        yield rest
