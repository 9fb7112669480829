"""Azure's voices, which speak a reply while it is written, with word times.

The texts of a reply are plain pieces of one turn, whose context names voice, style and speed. SSML
would carry the same, but takes a turn for each text and so cuts the melody and the times of a reply
into pieces.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field

from services.runtime.pcm import byte_count
from services.runtime.settings.values import Name, Names, SocketUrl
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice, WordTime
from services.speech.provider_settings import SynthesizerVendorSettings
from services.speech.streams import Deadlines, closing
from services.speech.vendors.alignment import TextCursor
from services.speech.vendors.azure.messages import TICKS_PER_S, Message
from services.speech.vendors.azure.settings import AzureSettings
from services.speech.vendors.azure.turns import AzureTurn, open_turn
from services.speech.vendors.declaration import SynthesizerVendor
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.http.voice_list import ask_for_voices
from services.speech.vendors.locales import locale_of
from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ, PooledSynthesizer
from services.speech.vendors.sound.samples import WholeSamples
from services.speech.vendors.websocket.client import VendorSocket, open_socket

PATH = "/cognitiveservices/websocket/v2"
"""The version that takes texts piece by piece."""
VOICES_PATH = "/cognitiveservices/voices/list"
OUTPUT_FORMAT = "raw-24khz-16bit-mono-pcm"
SLOWEST, FASTEST = 0.5, 2.0
TEXT = "text/plain"


class AzureSpeechSettings(AzureSettings, SynthesizerVendorSettings):
    """Voices of Azure AI Speech."""

    service: ClassVar[str] = "tts"
    base_url: SocketUrl = Field(
        "wss://eastus.tts.speech.microsoft.com",
        description="the address of the service in the key's region, before the path",
    )
    model: Name = Field("base", description="base, or the id of the deployment of a custom voice")
    voices: Names = Field(
        "zh-CN-XiaoxiaoMultilingualNeural,en-US-AvaMultilingualNeural",
        description="voices, separated by commas, the default first",
    )


async def list_voices(settings: AzureSpeechSettings, deadlines: Deadlines) -> Sequence[Voice]:
    """Return the voices of the key's region; raises ProviderError."""
    endpoint = Endpoint.of(settings, deadlines)
    return await ask_for_voices(endpoint, VOICES_PATH, settings.headers, _read_voices)


def _read_voices(listed: Any) -> Iterator[Voice]:
    for each in listed:
        yield Voice(
            voice_id=each["ShortName"],
            display_name=each["DisplayName"],
            language_codes=(each["Locale"],),
        )


class AzureSynthesizer(PooledSynthesizer[AzureSpeechSettings]):
    """Speaks each reply in one turn."""

    @classmethod
    def connect(
        cls, settings: AzureSpeechSettings, endpoint: Endpoint
    ) -> AbstractAsyncContextManager[VendorSocket]:
        """A connection that takes turns; raises ProviderError."""
        custom = settings.custom_model
        query = f"?{urlencode({'deploymentId': custom})}" if custom else ""
        url = f"{settings.base_url}{PATH}{query}"
        return open_socket(endpoint, Stage.SYNTHESIS, url=url, headers=settings.headers)

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio as it arrives, in whole samples; raises ProviderError."""
        context = _context(request)
        with provider_errors(Stage.SYNTHESIS, self.name):
            opening = open_turn(
                self._pool, self._endpoint, Stage.SYNTHESIS, "synthesis.context", context
            )
            async with (
                closing(texts),
                opening as turn,
                closing(self._spoken(texts, _Speech(turn))) as chunks,
            ):
                async for chunk in chunks:
                    yield chunk


def _context(request: SpeechRequest) -> dict[str, Any]:
    voice: dict[str, Any] = {
        "bidirectionalStreamingMode": True,
        "voiceName": request.voice_id,
        "language": locale_of(request.language_code),
    }
    if request.speed != 1.0:
        voice["rate"] = f"{min(max(request.speed, SLOWEST), FASTEST):g}"
    if style := request.style or request.emotion:
        voice["style"] = style
    return {
        "synthesis": {
            "audio": {
                "outputFormat": OUTPUT_FORMAT,
                "metadataOptions": {
                    "wordBoundaryEnabled": True,
                    "sentenceBoundaryEnabled": True,
                    "visemeEnabled": False,
                    "punctuationBoundaryEnabled": False,
                    "bookmarkEnabled": False,
                    "sessionEndEnabled": False,
                },
            },
            "language": {"autoDetection": False},
            "input": voice,
        }
    }


class _Speech:
    """The audio of one turn, and where in it and in the text words and sentences are."""

    def __init__(self, turn: AzureTurn) -> None:
        self._turn = turn
        self._characters = 0
        self._words = TextCursor()
        self._sentences = TextCursor()
        self._pcm_bytes = 0
        self._ends: deque[tuple[int, int]] = deque()

    async def send(self, text: str) -> None:
        """Add text."""
        self._characters += len(text)
        self._words.add(text)
        self._sentences.add(text)
        await self._turn.send_text("text.piece", text, TEXT)

    async def finish(self) -> None:
        """End the text."""
        await self._turn.send_text("text.end", "", TEXT)

    async def chunks(self) -> AsyncIterator[SpeechChunk]:
        """Yield the audio in whole samples, and what is said about it."""
        samples = WholeSamples()
        async with closing(self._turn.messages()) as messages:
            async for message in messages:
                if message.path == "audio" and isinstance(message.body, bytes):
                    pcm = samples.add(message.body)
                    self._pcm_bytes += len(pcm)
                    yield SpeechChunk(pcm=pcm, text_end=self._text_end())
                elif message.path == "audio.metadata":
                    yield self._metadata(message)
        if samples.is_incomplete:
            raise self._turn.malformed("it ends within a sample")
        yield SpeechChunk(pcm=b"", text_end=self._characters)

    def _text_end(self) -> int | None:
        """Return the end of the last sentence whose audio is complete, if there is a new one."""
        end = None
        while self._ends and self._ends[0][0] <= self._pcm_bytes:
            _, end = self._ends.popleft()
        return end

    def _metadata(self, message: Message) -> SpeechChunk:
        words: list[WordTime] = []
        try:
            for each in self._turn.document(message)["Metadata"]:
                data = each["Data"]
                match each["Type"]:
                    case "WordBoundary":
                        words += self._word(data)
                    case "SentenceBoundary":
                        self._sentence(data)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise self._turn.malformed("metadata of another shape") from None
        return SpeechChunk(pcm=b"", words=tuple(words))

    def _word(self, data: Any) -> Sequence[WordTime]:
        place = self._words.find(str(data["text"]["Text"]))
        if place is None:
            return ()
        start_s = data["Offset"] / TICKS_PER_S
        end_s = start_s + data.get("Duration", 0) / TICKS_PER_S
        return (WordTime(start=place[0], end=place[1], start_s=start_s, end_s=end_s),)

    def _sentence(self, data: Any) -> None:
        place = self._sentences.find(str(data["text"]["Text"]))
        if place is not None and data.get("Duration"):
            end_s = (data["Offset"] + data["Duration"]) / TICKS_PER_S
            self._ends.append((byte_count(end_s, SAMPLE_RATE_HERTZ), place[1]))


VENDOR = SynthesizerVendor(
    settings=AzureSpeechSettings, open=AzureSynthesizer.open, list_voices=list_voices
)
