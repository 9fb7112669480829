"""Language models behind `POST /chat/completions`, streamed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Self

import httpx
import structlog
from pydantic import Field

from services.runtime.values import ApiUrl, Name
from services.speech.answers import has_words
from services.speech.ports import ChatItem, ChatMessage, ChatRequest, ProviderMuteError, Stage
from services.speech.provider_settings import OPENAI_URL, ChatVendorSettings, OpenAiSettings
from services.speech.streams import Deadlines, closing, timely
from services.speech.vendors.chat.chunks import AnswerError, Chunk, documents, parse_chunk
from services.speech.vendors.chat.markup import Habit, Markup, expected_habit
from services.speech.vendors.chat.request import ChatBody
from services.speech.vendors.declaration import ChatVendor
from services.speech.vendors.http.client import (
    Endpoint,
    malformed_answer,
    open_client,
    provider_errors,
)
from services.speech.vendors.http.error_details import redacted
from services.speech.vendors.http.parameters import Parameters
from services.speech.vendors.http.requester import Requester

log = structlog.get_logger(__name__)

_TOO_LONG = frozenset(("length", "max_tokens", "model_length"))
_FILTERED = frozenset(("content_filter", "sensitive", "safety"))


class OpenAiChatSettings(OpenAiSettings, ChatVendorSettings):
    """A language model behind `POST /chat/completions`."""

    kind: ClassVar[str] = "openai"
    base_url: ApiUrl = Field(OPENAI_URL, description="the API before /chat/completions")
    model: Name = Field("gpt-4o-mini", description="the language model")


def open(
    settings: OpenAiChatSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["OpenAiChatModel"]:
    """The language model that the settings describe."""
    return OpenAiChatModel.open(
        Endpoint.of(settings, deadlines),
        max_tokens=settings.max_tokens or None,
        temperature=settings.temperature,
    )


class OpenAiChatModel:
    """Continues dialogues over HTTP; closing the iterator drops the connection.

    It remembers what it learns of the model: which parameters it refuses, and whether it thinks
    aloud.
    """

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint, body: ChatBody) -> None:
        self._endpoint = endpoint
        self._requester = Requester(client, endpoint, Stage.CHAT, body)
        self._habit = expected_habit(endpoint.model)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        endpoint: Endpoint,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> AsyncIterator[Self]:
        """A model with its own HTTP client; parameters that are None are not sent."""
        chosen = {"max_tokens": max_tokens, "temperature": temperature}
        parameters = {key: value for key, value in chosen.items() if value is not None}
        async with open_client(endpoint) as client:
            body = ChatBody(parameters=Parameters(values={"stream": True, **parameters}))
            yield cls(client, endpoint, body)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply's deltas; raises ProviderError."""
        with provider_errors(Stage.CHAT, self.name):
            answer = self._deltas(request.messages)
            async with closing(timely(answer, self._endpoint.deadlines)) as deltas:
                async for delta in deltas:
                    yield delta

    async def _deltas(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        reply = _Reply(self._habit)

        def content_of(body: ChatBody) -> dict[str, Any]:
            return {"json": body.content(self._endpoint.model, messages)}

        async with self._requester.post("chat/completions", content_of) as response:
            try:
                async with closing(documents(response.aiter_bytes())) as found:
                    async for document in found:
                        if text := reply.take(parse_chunk(document)):
                            yield text
                        if reply.is_over:
                            break
            except AnswerError as error:
                raise malformed_answer(
                    Stage.CHAT, self._endpoint, str(error), error.detail
                ) from None
        if rest := reply.finish():
            yield rest
        if not reply.has_words:
            said = redacted(reply.refusal, self._endpoint.api_key)
            raise ProviderMuteError(Stage.CHAT, self.name, reply.silence, vendor_message=said)
        if reply.finish_reason in _TOO_LONG | _FILTERED:
            log.warning("reply cut", provider=self.name, reason=reply.finish_reason)
        self._habit = reply.habit


class _Reply:
    """Assembles a reply from the chunks of its answer."""

    def __init__(self, habit: Habit) -> None:
        self.finish_reason = ""
        self.refusal = ""
        self.has_words = False
        self._markup = Markup(habit)
        self._written = ""
        self._has_deltas = False
        self._has_calls = False
        self._has_reasoning = False

    @property
    def is_over(self) -> bool:
        """Whether the rest can be ignored: some vendors never end their stream."""
        return bool(self.finish_reason) or self._markup.is_over

    @property
    def habit(self) -> Habit:
        """What the answer showed about its model."""
        return self._markup.habit

    @property
    def silence(self) -> str:
        """Why the reply has no words."""
        if self.refusal:
            return "the model refuses to reply"
        if self._has_calls or self._markup.is_call:
            return "the model calls tools instead of replying"
        is_thinking = self._has_reasoning or self._markup.is_thinking
        where = " while the model thinks" if is_thinking else ""
        if self.finish_reason in _FILTERED:
            return "the reply is filtered"
        if self.finish_reason in _TOO_LONG:
            return f"the reply is cut by its length{where} before a word"
        return f"the reply ends{where} without a word"

    def take(self, chunk: Chunk) -> str:
        """Return what a chunk adds to the reply."""
        self.finish_reason = chunk.finish_reason
        self.refusal += chunk.refusal
        self._has_calls = self._has_calls or chunk.has_calls
        if chunk.has_reasoning:
            self._has_reasoning = True
            self._markup.trust()
        return self._said(self._markup.feed(self._news(chunk)))

    def finish(self) -> str:
        """Return the text that was held back."""
        return self._said(self._markup.flush(is_cut=self.finish_reason in _TOO_LONG))

    def _news(self, chunk: Chunk) -> str:
        """Return the text without what the vendor repeats, at the end or in every chunk."""
        text = chunk.text
        if chunk.is_whole and self._has_deltas:
            return ""
        is_longer = len(text) > len(self._written) or bool(chunk.finish_reason)
        if chunk.is_whole and is_longer and text.startswith(self._written):
            text = text[len(self._written) :]
        self._has_deltas = self._has_deltas or bool(text and not chunk.is_whole)
        self._written += text
        return text

    def _said(self, text: str) -> str:
        self.has_words = self.has_words or has_words(text)
        return text


VENDOR = ChatVendor(settings=OpenAiChatSettings, open=open)
