"""Language models behind `POST /chat/completions`, streamed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, ClassVar, Self

import httpx
import structlog
from pydantic import Field

from services.runtime.settings.values import ApiUrl, JsonObject, Name
from services.speech.ports.chat import ChatItem, ChatRequest, ChatUsage
from services.speech.ports.errors import ProviderMuteError
from services.speech.ports.stages import Stage
from services.speech.provider_settings import OPENAI_URL, ChatVendorSettings, OpenAiSettings
from services.speech.streams import Deadlines, closing
from services.speech.vendors.chat.chunks import documents, parse_chunk
from services.speech.vendors.chat.markup import expected_habit
from services.speech.vendors.chat.reply import FILTERED, TOO_LONG, WrittenReply
from services.speech.vendors.chat.request import ChatBody
from services.speech.vendors.chat.usage import usage_of
from services.speech.vendors.declaration import ChatVendor
from services.speech.vendors.http.answers import AnswerError, in_time
from services.speech.vendors.http.client import (
    Endpoint,
    malformed_answer,
    open_client,
)
from services.speech.vendors.http.endings import Endings
from services.speech.vendors.http.error_details import redacted
from services.speech.vendors.http.parameters import Parameters
from services.speech.vendors.http.requester import Requester

log = structlog.get_logger(__name__)

USAGE_S = 0.5
"""How long a vendor may take from the end of a reply to its usage; most send both at once."""

CALL_S = 2.0
"""How long a vendor may be silent after a whole call in its text, which it does not say to end."""

_USAGE = "stream_options"


class OpenAiChatSettings(OpenAiSettings, ChatVendorSettings):
    """A language model behind `POST /chat/completions`."""

    kind: ClassVar[str] = "openai"
    base_url: ApiUrl = Field(OPENAI_URL, description="the API before /chat/completions")
    model: Name = Field("gpt-4o-mini", description="the language model")
    extra: JsonObject = Field(
        default_factory=dict,
        description="members to add to each request, as JSON, such as"
        ' {"thinking": {"type": "disabled"}} or {"tool_choice": "auto"}',
    )


def open(
    settings: OpenAiChatSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["OpenAiChatModel"]:
    """The language model that the settings describe."""
    return OpenAiChatModel.open(
        Endpoint.of(settings, deadlines),
        max_tokens=settings.max_tokens or None,
        temperature=settings.temperature,
        extra=settings.extra,
    )


class OpenAiChatModel:
    """Continues dialogues over HTTP; closing the iterator drops the connection.

    It remembers what it learns of the model: which parameters it refuses, whether it thinks aloud,
    and whether it tells its usage.
    """

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint, body: ChatBody) -> None:
        self._endpoint = endpoint
        self._requester = Requester(client, endpoint, Stage.CHAT, body)
        self._habit = expected_habit(endpoint.model)
        self._tells_usage = _USAGE in body.parameters.values
        self._endings = Endings()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        endpoint: Endpoint,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Self]:
        """A model with its own HTTP client; parameters that are None are not sent."""
        chosen = {
            _USAGE: {"include_usage": True},
            "stream": True,
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        parameters = {key: value for key, value in chosen.items() if value is not None}
        async with open_client(endpoint) as client:
            body = ChatBody(parameters=Parameters(values=parameters), extra=extra or {})
            yield cls(client, endpoint, body)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply as it is written; raises ProviderError."""
        return in_time(self._answer(request), Stage.CHAT, self._endpoint)

    async def _answer(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        reply = WrittenReply(self._habit, tool_names={each.name for each in request.tools})

        def content_of(body: ChatBody) -> dict[str, Any]:
            return {"json": body.content(self._endpoint.model, request)}

        async with self._requester.post("chat/completions", content_of) as response:
            pieces = response.aiter_bytes()
            try:
                async with (
                    closing(documents(pieces)) as found,
                    closing(_until_over(found, reply)) as used,
                ):
                    async for document in used:
                        if text := reply.take(parse_chunk(document)):
                            yield text
                    if rest := reply.finish():
                        yield rest
                    for call in reply.calls():
                        yield call
                    if reply.usage is None and reply.finish_reason:
                        reply.usage = await self._late_usage(found)
                    if reply.usage is not None:
                        yield reply.usage
            except AnswerError as error:
                raise malformed_answer(
                    Stage.CHAT, self._endpoint, str(error), error.detail
                ) from None
            await self._endings.read(pieces)
        if not reply.is_answer:
            said = redacted(reply.refusal, self._endpoint.api_key)
            raise ProviderMuteError(Stage.CHAT, self.name, reply.silence, vendor_message=said)
        if reply.finish_reason in TOO_LONG | FILTERED:
            log.warning("reply cut", provider=self.name, reason=reply.finish_reason)
        self._habit = reply.habit

    async def _late_usage(self, documents: AsyncIterator[object]) -> ChatUsage | None:
        """Return the usage that follows a reply's end, None if it does not follow at once."""
        if not self._tells_usage:
            return None
        with suppress(AnswerError, httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(USAGE_S):
                async for document in documents:
                    if isinstance(document, dict) and (usage := usage_of(document)):
                        return usage
        self._tells_usage = False
        return None


async def _until_over(
    documents: AsyncIterator[object], reply: WrittenReply
) -> AsyncIterator[object]:
    """Yield the documents that make a reply."""
    while not reply.is_over:
        try:
            async with asyncio.timeout(CALL_S if reply.has_written_call else None):
                document = await anext(documents)
        except (StopAsyncIteration, TimeoutError):
            return
        yield document


VENDOR = ChatVendor(settings=OpenAiChatSettings, open=open)
