"""Language models behind `POST /chat/completions`, streamed."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx

from services.speech.ports import ChatMessage, ProviderError, Stage
from services.speech.providers.openai_http import (
    Endpoint,
    check_status,
    malformed,
    open_client,
    provider_errors,
)
from services.speech.providers.sse import SseError, event_data
from services.speech.streams import closing, timely

MAX_TOKENS = 300
TEMPERATURE = 0.5
_DONE = "[DONE]"


class OpenAiChatModel:
    """Continues dialogues over HTTP; closing the iterator drops the connection."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    @classmethod
    @asynccontextmanager
    async def open(cls, endpoint: Endpoint) -> AsyncIterator[Self]:
        """A model with a client of its own."""
        async with open_client(endpoint) as client:
            yield cls(client, endpoint)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    async def stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        """Yield the reply's deltas; raises ProviderError."""
        with provider_errors(Stage.CHAT, self.name):
            async with closing(timely(self._deltas(messages), self._endpoint.deadlines)) as deltas:
                async for delta in deltas:
                    yield delta

    async def _deltas(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        body = {
            "model": self._endpoint.model,
            "messages": [
                {"role": message.role.value, "content": message.content} for message in messages
            ],
            "stream": True,
            "max_tokens": MAX_TOKENS,
            "temperature": TEMPERATURE,
        }
        async with self._client.stream("POST", "chat/completions", json=body) as response:
            check_status(response, Stage.CHAT, self.name)
            is_complete = False
            try:
                async with closing(event_data(response.aiter_bytes())) as events:
                    async for data in events:
                        if data.strip() == _DONE:
                            return
                        choice = self._choice(data)
                        is_complete = is_complete or bool(choice.get("finish_reason"))
                        content = (choice.get("delta") or {}).get("content")
                        if isinstance(content, str) and content:
                            yield content
            except SseError as error:
                raise malformed(Stage.CHAT, self.name, str(error)) from None
            if not is_complete:
                raise malformed(Stage.CHAT, self.name, "it ends in the middle")

    def _choice(self, data: str) -> dict[str, Any]:
        """Return an event's first choice, empty when it has none, as the usage has."""
        try:
            event = json.loads(data)
        except ValueError:
            raise malformed(Stage.CHAT, self.name, "an event is not JSON") from None
        if not isinstance(event, dict):
            raise malformed(Stage.CHAT, self.name, "an event is not an object")
        if "error" in event:
            what = "the provider reports an error in the stream"
            raise ProviderError(Stage.CHAT, self.name, what, transient=True)
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        if not isinstance(choice, dict):
            raise malformed(Stage.CHAT, self.name, "a choice is not an object")
        return choice
