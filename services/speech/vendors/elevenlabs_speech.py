"""ElevenLabs' voices, which speak a reply while it is written."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote, urlencode

from pydantic import Field

from services.runtime.languages import primary
from services.runtime.settings.values import Name, Names, SocketUrl
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice
from services.speech.provider_settings import SynthesizerVendorSettings
from services.speech.streams import Deadlines, closing
from services.speech.vendors.declaration import SynthesizerVendor
from services.speech.vendors.elevenlabs.aligned import AlignedSound
from services.speech.vendors.elevenlabs.contexts import Context, Contexts
from services.speech.vendors.feeding import on_session
from services.speech.vendors.http.client import Endpoint, malformed_answer, provider_errors
from services.speech.vendors.http.voice_list import ask_for_voices
from services.speech.vendors.websocket.client import VendorSocket, open_socket
from services.speech.vendors.websocket.pools import SocketPools
from services.speech.voices import any_language

VOICES_PATH = "/voices"
SAMPLE_RATE_HERTZ = 24_000
SLOWEST, FASTEST = 0.7, 1.2
INACTIVITY_S = 180
"""How long the vendor waits for the next text of a reply; its own default is 20 s."""


class ElevenLabsSpeechSettings(SynthesizerVendorSettings):
    """ElevenLabs' voices."""

    kind: ClassVar[str] = "elevenlabs"
    needs_key: ClassVar[bool] = True
    base_url: SocketUrl = Field(
        "wss://api.elevenlabs.io/v1", description="the API before /text-to-speech"
    )
    model: Name = Field("eleven_flash_v2_5", description="model of the synthesizer")
    voices: Names = Field(
        "21m00Tcm4TlvDq8ikWAM,29vD33N1CtxCmqQRPOHJ",
        description="ids of voices, separated by commas, the default first",
    )
    names_language: bool = Field(
        True,
        description="whether the language is named; some models, such as eleven_multilingual_v2,"
        " refuse that and find it out",
    )
    stability: float | None = Field(None, ge=0, le=1, description="how even the voice is")
    similarity: float | None = Field(
        None, ge=0, le=1, description="how close to its original the voice is"
    )
    text_normalization: Literal["auto", "on", "off"] = Field(
        "auto", description="whether the vendor writes out numbers and the like"
    )

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a connection, the key among them."""
        return {"xi-api-key": self.key.get_secret_value()} if self.key else {}


def open(
    settings: ElevenLabsSpeechSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["ElevenLabsSynthesizer"]:
    """The synthesizer that the settings describe."""
    return ElevenLabsSynthesizer.open(settings, deadlines)


async def list_voices(settings: ElevenLabsSpeechSettings, deadlines: Deadlines) -> Sequence[Voice]:
    """Return the voices of the account, each of which speaks any language; raises ProviderError."""
    endpoint = Endpoint.of(settings, deadlines)
    return await ask_for_voices(endpoint, VOICES_PATH, settings.headers, _read_voices)


def _read_voices(listed: Any) -> Iterator[Voice]:
    for each in listed["voices"]:
        yield Voice(voice_id=each["voice_id"], display_name=each["name"], language_codes=())


class ElevenLabsSynthesizer:
    """Speaks each reply in a context of its own, on connections by voice and language."""

    sample_rate_hertz = SAMPLE_RATE_HERTZ

    def __init__(
        self,
        settings: ElevenLabsSpeechSettings,
        endpoint: Endpoint,
        contexts: Contexts,
        sockets: SocketPools,
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._contexts = contexts
        self._sockets = sockets
        self._voices = any_language(settings.voice_ids)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: ElevenLabsSpeechSettings, deadlines: Deadlines
    ) -> AsyncIterator[Self]:
        """A synthesizer with its own connections."""
        endpoint = Endpoint.of(settings, deadlines)
        contexts = Contexts(endpoint)

        def connect(url: str) -> AbstractAsyncContextManager[VendorSocket]:
            return open_socket(endpoint, Stage.SYNTHESIS, url=url, headers=settings.headers)

        async with SocketPools.open(connect, contexts.idle) as sockets:
            yield cls(settings, endpoint, contexts, sockets)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that the settings name; each speaks any language."""
        return self._voices

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio as it arrives, in whole samples; raises ProviderError."""
        opening = self._contexts.open(self._sockets, self._url(request), self._wishes(request))
        with provider_errors(Stage.SYNTHESIS, self.name):
            async with closing(texts), opening as context:
                speech = _Speech(context, self._endpoint)
                chunks = on_session(
                    texts,
                    speech.chunks(),
                    send=speech.send,
                    finish=context.finish,
                    deadlines=self._endpoint.deadlines,
                    provider=self.name,
                )
                async with closing(chunks):
                    async for chunk in chunks:
                        yield chunk

    def _url(self, request: SpeechRequest) -> str:
        settings = self._settings
        query = {
            "model_id": settings.model,
            "output_format": f"pcm_{SAMPLE_RATE_HERTZ}",
            "auto_mode": "true",
            "sync_alignment": "true",
            "inactivity_timeout": str(INACTIVITY_S),
            "apply_text_normalization": settings.text_normalization,
        }
        if settings.names_language:
            query["language_code"] = primary(request.language_code)
        voice = quote(request.voice_id, safe="")
        path = f"text-to-speech/{voice}/multi-stream-input"
        return f"{settings.base_url}/{path}?{urlencode(query)}"

    def _wishes(self, request: SpeechRequest) -> dict[str, Any]:
        wishes = {
            "speed": min(max(request.speed, SLOWEST), FASTEST),
            "stability": self._settings.stability,
            "similarity_boost": self._settings.similarity,
        }
        return {"voice_settings": {key: each for key, each in wishes.items() if each is not None}}


class _Speech:
    """A reply in a context."""

    def __init__(self, context: Context, endpoint: Endpoint) -> None:
        self._context = context
        self._endpoint = endpoint
        self._sound = AlignedSound(SAMPLE_RATE_HERTZ)

    async def send(self, text: str) -> None:
        """Add text."""
        self._sound.expect(text)
        await self._context.send(text)

    async def chunks(self) -> AsyncIterator[SpeechChunk]:
        """Yield the sound with its words."""
        async with closing(self._context.messages()) as messages:
            async for message in messages:
                try:
                    chunk = self._sound.chunk(message)
                except (TypeError, KeyError, AttributeError, ValueError):
                    raise self._malformed("a message of another shape") from None
                yield chunk
        if self._sound.is_incomplete:
            raise self._malformed("it ends within a sample")
        yield self._sound.rest()

    def _malformed(self, what: str) -> Exception:
        return malformed_answer(Stage.SYNTHESIS, self._endpoint, what)


VENDOR = SynthesizerVendor(settings=ElevenLabsSpeechSettings, open=open, list_voices=list_voices)
