"""Azure's recognizers, live, over the WebSocket of their conversation mode.

Azure cuts speech into phrases where the speaker pauses. A phrase is a likely end of the turn, which
more speech takes back and more silence confirms.
"""

import struct
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

from pydantic import Field

from services.runtime.languages import primary
from services.runtime.pcm import SAMPLE_BYTES, byte_count
from services.runtime.settings.values import SocketUrl
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Transcript
from services.speech.ports.stages import Stage
from services.speech.provider_settings import PauseSettings
from services.speech.streams import Deadlines, closing
from services.speech.vendors.azure.hearing import TurnTranscripts
from services.speech.vendors.azure.settings import AzureSettings
from services.speech.vendors.azure.turns import open_turn
from services.speech.vendors.declaration import RecognizerVendor
from services.speech.vendors.hearing import on_stream
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.locales import locale_of
from services.speech.vendors.websocket.client import open_socket
from services.speech.vendors.websocket.pool import SocketPool

ONE_LANGUAGE_PATH = "/speech/recognition/conversation/cognitiveservices/v1"
DETECTION_PATH = "/speech/universal/v2"
PACKET_BYTES = byte_count(0.1, LISTENING_RATE_HERTZ)
MOST_PHRASES = 500
MOST_AT_START = 4
"""Languages of which Azure finds the one spoken at the start of an utterance."""
MOST_LANGUAGES = 10

_WAV_HEADER = struct.pack(
    "<4sI4s4sIHHIIHH4sI",
    *(b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1),
    *(LISTENING_RATE_HERTZ, LISTENING_RATE_HERTZ * SAMPLE_BYTES, SAMPLE_BYTES, 16),
    *(b"data", 0),
)
"""Of PCM whose length is not known."""


class AzureTranscriptionSettings(AzureSettings, PauseSettings):
    """A recognizer of Azure AI Speech."""

    service: ClassVar[str] = "stt"
    base_url: SocketUrl = Field(
        "wss://eastus.stt.speech.microsoft.com",
        description="the address of the service in the key's region, before the path",
    )
    sentence_silence_ms: int = Field(
        500,
        ge=100,
        le=5000,
        description="silence that ends a phrase, and makes the end of the turn likely, in"
        " milliseconds",
    )


def open(
    settings: AzureTranscriptionSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["AzureRecognizer"]:
    """The recognizer that the settings describe."""
    return AzureRecognizer.open(settings, deadlines)


class AzureRecognizer:
    """Recognizes an utterance in one turn, phrase by phrase."""

    is_streaming = True

    def __init__(
        self, settings: AzureTranscriptionSettings, endpoint: Endpoint, pools: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._lifetimes = pools
        self._pools: dict[str, SocketPool] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: AzureTranscriptionSettings, deadlines: Deadlines
    ) -> AsyncIterator[Self]:
        """A recognizer with its own connections."""
        async with AsyncExitStack() as pools:
            yield cls(settings, Endpoint.of(settings, deadlines), pools)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    @property
    def detects_turn_ends(self) -> bool:
        """As it is set."""
        return self._settings.ends_turns

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield hypotheses while audio arrives; raises ProviderError."""
        locales = _locales(request)
        context = self._context(locales, request.hot_words)
        with provider_errors(Stage.RECOGNITION, self.name):
            pool = await self._pool(locales)
            opening = open_turn(pool, self._endpoint, Stage.RECOGNITION, "speech.context", context)
            async with closing(audio), opening as turn:
                spoken = TurnTranscripts(turn, self.name, silence_s=self._settings.turn_silence_s)
                await turn.send_sound(_WAV_HEADER)
                transcripts = on_stream(
                    audio,
                    spoken.transcripts(),
                    send=turn.send_sound,
                    finish=spoken.finish,
                    packet_bytes=PACKET_BYTES,
                    deadlines=self._endpoint.deadlines,
                    provider=self.name,
                )
                async with closing(transcripts):
                    async for transcript in transcripts:
                        yield transcript

    async def _pool(self, locales: tuple[str, ...]) -> SocketPool:
        """Return the connections for a language; those that detect it serve any."""
        url = self._url(locales)
        if url not in self._pools:

            def connect() -> AbstractAsyncContextManager[Any]:
                return open_socket(
                    self._endpoint, Stage.RECOGNITION, url=url, headers=self._settings.headers
                )

            self._pools[url] = await self._lifetimes.enter_async_context(SocketPool.open(connect))
        return self._pools[url]

    def _url(self, locales: tuple[str, ...]) -> str:
        query = {"format": "detailed", "wordLevelTimestamps": "true"}
        if len(locales) == 1:
            query["language"] = locales[0]
        if self._settings.custom_model:
            query["cid"] = self._settings.custom_model
        path = ONE_LANGUAGE_PATH if len(locales) == 1 else DETECTION_PATH
        return f"{self._settings.base_url}{path}?{urlencode(query)}"

    def _context(self, locales: tuple[str, ...], hot_words: tuple[str, ...]) -> dict[str, Any]:
        output: dict[str, Any] = {
            "format": "Detailed",
            "detailed": {"options": ["WordTimings"]},
        }
        segmentation = {
            "mode": "Custom",
            "segmentationSilenceTimeoutMs": self._settings.sentence_silence_ms,
        }
        context: dict[str, Any] = {
            "phraseDetection": {
                "mode": "Conversation",
                "conversation": {"segmentation": segmentation},
            },
            "phraseOutput": output,
        }
        if len(locales) > 1:
            output["interimResults"] = {"resultType": "Auto"}
            output["phraseResults"] = {"resultType": "Always"}
            is_early = len(locales) <= MOST_AT_START
            context["languageId"] = {
                "languages": locales,
                "mode": "DetectAtAudioStart" if is_early else "DetectContinuous",
                "priority": "PrioritizeLatency",
                "onSuccess": {"action": "Recognize"},
                "onUnknown": {"action": "None"},
            }
        if hot_words:
            phrases = [{"text": word} for word in hot_words[:MOST_PHRASES]]
            context["dgi"] = {"groups": [{"type": "Generic", "items": phrases}]}
        return context


def _locales(request: RecognitionRequest) -> tuple[str, ...]:
    """Return a locale for each language, since Azure detects languages and not regions."""
    by_language: dict[str, str] = {}
    for code in request.language_codes:
        by_language.setdefault(primary(code), locale_of(code))
    return tuple(by_language.values())[:MOST_LANGUAGES]


VENDOR = RecognizerVendor(settings=AzureTranscriptionSettings, open=open)
