"""Voices behind `POST /audio/speech`, streamed as raw PCM."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import httpx

from services.speech.ports import ProviderError, SpeechChunk, Stage, Voice
from services.speech.providers.openai_http import (
    Endpoint,
    check_status,
    malformed,
    open_client,
    provider_errors,
)
from services.speech.streams import closing, timely

SAMPLE_RATE_HERTZ = 24_000
"""What `response_format: pcm` means in this API."""


class OpenAiSynthesizer:
    """Speaks over HTTP; closing the iterator drops the connection."""

    def __init__(
        self, client: httpx.AsyncClient, endpoint: Endpoint, *, voice_ids: Sequence[str]
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._voices = tuple(
            Voice(voice_id=each, display_name=each.capitalize(), language_codes=())
            for each in voice_ids
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, endpoint: Endpoint, *, voice_ids: Sequence[str]) -> AsyncIterator[Self]:
        """A synthesizer with a client of its own."""
        async with open_client(endpoint) as client:
            yield cls(client, endpoint, voice_ids=voice_ids)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    @property
    def sample_rate_hertz(self) -> int:
        """The API's own rate."""
        return SAMPLE_RATE_HERTZ

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that the settings name; each speaks any language."""
        return self._voices

    async def synthesize(
        self, text: str, *, voice_id: str, language_code: str
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio as it comes, in whole samples; raises ProviderError."""
        with provider_errors(Stage.SYNTHESIS, self.name):
            pieces = timely(self._pieces(text, voice_id), self._endpoint.deadlines)
            async with closing(pieces) as audio:
                odd = b""
                async for piece in audio:
                    pcm = odd + piece
                    whole = len(pcm) - len(pcm) % 2
                    odd = pcm[whole:]
                    if whole:
                        yield SpeechChunk(pcm=pcm[:whole])
                if odd:
                    raise malformed(Stage.SYNTHESIS, self.name, "it ends within a sample")

    async def _pieces(self, text: str, voice_id: str) -> AsyncIterator[bytes]:
        body = {
            "model": self._endpoint.model,
            "input": text,
            "voice": voice_id,
            "response_format": "pcm",
        }
        async with self._client.stream("POST", "audio/speech", json=body) as response:
            check_status(response, Stage.SYNTHESIS, self.name)
            kind = response.headers.get("content-type", "")
            if kind.startswith(("application/json", "text/")):
                what = "the provider answers with text instead of audio"
                raise ProviderError(Stage.SYNTHESIS, self.name, what, transient=False)
            async for piece in response.aiter_bytes():
                yield piece
