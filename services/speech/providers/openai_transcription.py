"""Recognizers behind `POST /audio/transcriptions`: one file, one answer."""

import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import httpx

from services.speech.ports import LISTENING_RATE_HERTZ, Stage, Transcript
from services.speech.providers.openai_http import (
    Endpoint,
    check_status,
    malformed,
    open_client,
    provider_errors,
)
from services.speech.streams import closing, timely


class OpenAiRecognizer:
    """Recognizes an utterance over HTTP when it has ended."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    @classmethod
    @asynccontextmanager
    async def open(cls, endpoint: Endpoint) -> AsyncIterator[Self]:
        """A recognizer with a client of its own."""
        async with open_client(endpoint) as client:
            yield cls(client, endpoint)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    async def transcribe(
        self, pcm: AsyncIterator[bytes], *, language_code: str
    ) -> AsyncIterator[Transcript]:
        """Yield one final transcript after the audio has ended; raises ProviderError."""
        recording = b"".join([chunk async for chunk in pcm])
        language = language_code.partition("-")[0].lower()
        with provider_errors(Stage.RECOGNITION, self.name):
            answers = timely(self._answer(wav(recording), language), self._endpoint.deadlines)
            async with closing(answers) as transcripts:
                async for transcript in transcripts:
                    yield transcript

    async def _answer(self, recording: bytes, language: str) -> AsyncIterator[Transcript]:
        response = await self._client.post(
            "audio/transcriptions",
            data={
                "model": self._endpoint.model,
                "language": language,
                "response_format": "json",
            },
            files={"file": ("utterance.wav", recording, "audio/wav")},
        )
        check_status(response, Stage.RECOGNITION, self.name)
        try:
            answer = response.json()
        except ValueError:
            raise malformed(Stage.RECOGNITION, self.name, "it is not JSON") from None
        text = answer.get("text") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise malformed(Stage.RECOGNITION, self.name, "it has no text")
        yield Transcript(text=text.strip(), is_final=True)


def wav(pcm: bytes) -> bytes:
    """Return a WAV file of the user's audio."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(LISTENING_RATE_HERTZ)
        writer.writeframes(pcm)
    return file.getvalue()
