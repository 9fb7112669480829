"""Language models behind Anthropic's `POST /messages`, streamed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Self

import httpx
import structlog
from pydantic import Field

from services.runtime.settings.values import ApiUrl, JsonObject, Name
from services.speech.ports.chat import ChatItem, ChatRequest
from services.speech.ports.errors import ProviderMuteError
from services.speech.ports.stages import Stage
from services.speech.provider_settings import ChatVendorSettings
from services.speech.streams import Deadlines, closing
from services.speech.vendors.anthropic.answer import WrittenReply, events
from services.speech.vendors.anthropic.body import MessagesBody
from services.speech.vendors.declaration import ChatVendor
from services.speech.vendors.http.answers import AnswerError, in_time
from services.speech.vendors.http.client import (
    Endpoint,
    malformed_answer,
    open_client,
)
from services.speech.vendors.http.endings import Endings
from services.speech.vendors.http.parameters import Parameters
from services.speech.vendors.http.requester import Requester

log = structlog.get_logger(__name__)

_LONGEST_REPLY = 8_192
"""Tokens: the API wants a limit, also where the operator sets none."""


class AnthropicChatSettings(ChatVendorSettings):
    """A language model behind Anthropic's Messages API."""

    kind: ClassVar[str] = "anthropic"
    needs_key: ClassVar[bool] = True
    base_url: ApiUrl = Field("https://api.anthropic.com/v1", description="the API before /messages")
    model: Name = Field("claude-haiku-4-5", description="the language model")
    version: Name = Field("2023-06-01", description="version of the API")
    extra: JsonObject = Field(
        default_factory=dict,
        description='members to add to each request, as JSON, such as {"top_k": 5}',
    )


def open(
    settings: AnthropicChatSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["AnthropicChatModel"]:
    """The language model that the settings describe."""
    return AnthropicChatModel.open(
        Endpoint.of(settings, deadlines),
        version=settings.version,
        max_tokens=settings.max_tokens or _LONGEST_REPLY,
        temperature=settings.temperature,
        extra=settings.extra,
    )


class AnthropicChatModel:
    """Continues dialogues over HTTP; closing the iterator drops the connection."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint, body: MessagesBody) -> None:
        self._endpoint = endpoint
        self._requester = Requester(client, endpoint, Stage.CHAT, body)
        self._endings = Endings()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        endpoint: Endpoint,
        *,
        version: str,
        max_tokens: int,
        temperature: float,
        extra: Mapping[str, Any],
    ) -> AsyncIterator[Self]:
        """A model with its own HTTP client."""
        headers = {"anthropic-version": version}
        if endpoint.api_key is not None:
            headers["x-api-key"] = endpoint.api_key.get_secret_value()
        body = MessagesBody(
            max_tokens=max_tokens,
            parameters=Parameters(values={"temperature": temperature}),
            extra=extra,
        )
        async with open_client(endpoint, headers) as client:
            yield cls(client, endpoint, body)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply as it is written; raises ProviderError."""
        return in_time(self._answer(request), Stage.CHAT, self._endpoint)

    async def _answer(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        reply = WrittenReply(has_tools=bool(request.tools))

        def content_of(body: MessagesBody) -> dict[str, Any]:
            return {"json": body.content(self._endpoint.model, request)}

        async with self._requester.post("messages", content_of) as response:
            pieces = response.aiter_bytes()
            try:
                async with closing(events(pieces)) as found:
                    async for event in found:
                        for item in reply.take(event):
                            yield item
            except AnswerError as error:
                raise malformed_answer(
                    Stage.CHAT, self._endpoint, str(error), error.detail
                ) from None
            await self._endings.read(pieces)
        yield reply.usage
        if not reply.is_answer:
            raise ProviderMuteError(Stage.CHAT, self.name, reply.silence)
        if reply.is_cut:
            log.warning("reply cut", provider=self.name, reason=reply.stop_reason)


VENDOR = ChatVendor(settings=AnthropicChatSettings, open=open)
