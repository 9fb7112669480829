"""Recognizers behind `POST /audio/transcriptions`: one file, one answer."""

import io
import re
import wave
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Self

import httpx
from pydantic import Field

from services.runtime.languages import primary
from services.runtime.settings.values import ApiUrl, Name
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Transcript
from services.speech.ports.stages import Stage
from services.speech.provider_settings import OPENAI_URL, OpenAiSettings
from services.speech.streams import Deadlines, closing, timely
from services.speech.vendors.declaration import RecognizerVendor
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.client import (
    Endpoint,
    malformed_answer,
    open_client,
    provider_errors,
)
from services.speech.vendors.http.error_details import describe_unexpected, find_error
from services.speech.vendors.http.parameters import Parameters
from services.speech.vendors.http.requester import Requester

_PAGE = re.compile(r"\s*<|\s*WEBVTT|.*-->", re.DOTALL)
"""Texts that are not transcripts: web pages and subtitles."""


class OpenAiTranscriptionSettings(OpenAiSettings):
    """A recognizer behind `POST /audio/transcriptions`."""

    kind: ClassVar[str] = "openai"
    base_url: ApiUrl = Field(OPENAI_URL, description="the API before /audio/transcriptions")
    model: Name = Field("gpt-4o-mini-transcribe", description="model of the recognizer")


def open(
    settings: OpenAiTranscriptionSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["OpenAiRecognizer"]:
    """The recognizer that the settings describe."""
    return OpenAiRecognizer.open(Endpoint.of(settings, deadlines))


class OpenAiRecognizer:
    """Recognizes an utterance over HTTP once it has ended."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._requester = Requester(
            client, endpoint, Stage.RECOGNITION, Parameters(values={"response_format": "json"})
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, endpoint: Endpoint) -> AsyncIterator[Self]:
        """A recognizer with its own HTTP client."""
        async with open_client(endpoint) as client:
            yield cls(client, endpoint)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    @property
    def is_streaming(self) -> bool:
        """It hears an utterance once that has ended."""
        return False

    @property
    def detects_turn_ends(self) -> bool:
        """It does not."""
        return False

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield one final transcript after the audio has ended; raises ProviderError."""
        recording = b"".join([chunk async for chunk in audio])
        with provider_errors(Stage.RECOGNITION, self.name):
            answers = timely(self._answer(wav(recording), request), self._endpoint.deadlines)
            async with closing(answers) as transcripts:
                async for transcript in transcripts:
                    yield transcript

    async def _answer(
        self, recording: bytes, request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        file = ("utterance.wav", recording, "audio/wav")
        wanted = {"model": self._endpoint.model}
        if len(request.language_codes) == 1:
            wanted["language"] = primary(request.language_code)
        if request.hot_words:
            wanted["prompt"] = ", ".join(request.hot_words)

        def content_of(parameters: Parameters) -> dict[str, Any]:
            return {"data": {**wanted, **parameters.values}, "files": {"file": file}}

        async with self._requester.post("audio/transcriptions", content_of) as response:
            await response.aread()
        text = _text(_document(response))
        if text is None:
            detail = describe_unexpected(response.content)
            raise malformed_answer(Stage.RECOGNITION, self._endpoint, "it has no text", detail)
        yield Transcript(text=text.strip(), is_final=True)


def _document(response: httpx.Response) -> object:
    """Return the answer's JSON; plain text, which some servers send, counts as a JSON string."""
    try:
        return parse_json(response.content)
    except ValueError:
        is_plain = response.headers.get("content-type", "").startswith("text/plain")
        text = response.text.removeprefix("\ufeff")
        return text if is_plain and not _PAGE.match(text) else None


def _text(document: object) -> str | None:
    """Return what was said, empty for nothing; None if the answer has no transcript."""
    if isinstance(document, str):
        return document
    if not isinstance(document, dict) or find_error(document) is not None:
        return None
    text = document.get("text")
    if text is None and isinstance(document.get("segments"), list):
        segments = document["segments"]
        texts = [each.get("text") for each in segments if isinstance(each, dict)]
        said = [each for each in texts if isinstance(each, str)]
        text = "".join(said) if len(said) == len(segments) else None
    return text if isinstance(text, str) else None


def wav(pcm: bytes) -> bytes:
    """Return a WAV file of the user's audio."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(LISTENING_RATE_HERTZ)
        writer.writeframes(pcm)
    return file.getvalue()


VENDOR = RecognizerVendor(settings=OpenAiTranscriptionSettings, open=open)
