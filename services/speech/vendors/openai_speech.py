"""Voices behind `POST /audio/speech`, streamed."""

import re
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, ClassVar, Self

import httpx
from pydantic import Field

from services.runtime.settings.values import ApiUrl, Name, Names
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice
from services.speech.provider_settings import OPENAI_URL, OpenAiSettings, SynthesizerVendorSettings
from services.speech.streams import Deadlines, closing, once, timely
from services.speech.vendors.declaration import SynthesizerVendor
from services.speech.vendors.documents import parse_json
from services.speech.vendors.feeding import clause_by_clause
from services.speech.vendors.http.client import (
    Endpoint,
    malformed_answer,
    open_client,
    provider_errors,
)
from services.speech.vendors.http.error_details import find_error, read_error
from services.speech.vendors.http.parameters import Parameters
from services.speech.vendors.http.requester import Requester
from services.speech.vendors.sound.byte_stream import ByteStream
from services.speech.vendors.sound.decoding import Decoder
from services.speech.vendors.sound.formats import HEAD_BYTES, SoundError, container_of, is_text
from services.speech.voices import any_language

VOICES = "coral,alloy,ash,ballad,echo,fable,nova,onyx,sage,shimmer"
SAMPLE_RATE_HERTZ = 24_000
"""The rate of `response_format: pcm` in this API."""
LONGEST_DOCUMENT = 1 << 23
_SOUND_KEYS = frozenset(
    (
        *("audio", "audios", "audio_base64", "audiobase64", "audio_content", "audiocontent"),
        *("audio_data", "b64_json", "data", "output"),
    )
)

_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")


class OpenAiSpeechSettings(OpenAiSettings, SynthesizerVendorSettings):
    """Voices behind `POST /audio/speech`."""

    kind: ClassVar[str] = "openai"
    base_url: ApiUrl = Field(OPENAI_URL, description="the API before /audio/speech")
    model: Name = Field("gpt-4o-mini-tts", description="model of the synthesizer")
    voices: Names = Field(
        VOICES,
        description="voices of the openai synthesizer, separated by commas, the default first",
    )


def open(
    settings: OpenAiSpeechSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["OpenAiSynthesizer"]:
    """The synthesizer that the settings describe."""
    return OpenAiSynthesizer.open(Endpoint.of(settings, deadlines), voice_ids=settings.voice_ids)


class OpenAiSynthesizer:
    """Speaks over HTTP; closing the iterator drops the connection.

    Raw samples are requested; any other audio that a server answers with is decoded.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        endpoint: Endpoint,
        decoder: Decoder,
        *,
        voice_ids: Sequence[str],
    ) -> None:
        self._endpoint = endpoint
        self._requester = Requester(
            client, endpoint, Stage.SYNTHESIS, Parameters(values={"response_format": "pcm"})
        )
        self._decoder = decoder
        self._voices = any_language(voice_ids)

    @classmethod
    @asynccontextmanager
    async def open(cls, endpoint: Endpoint, *, voice_ids: Sequence[str]) -> AsyncIterator[Self]:
        """A synthesizer with its own HTTP client and decoders."""
        async with (
            open_client(endpoint) as client,
            Decoder.open(rate_hertz=SAMPLE_RATE_HERTZ) as decoder,
        ):
            yield cls(client, endpoint, decoder, voice_ids=voice_ids)

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

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio, text by text, as it arrives; raises ProviderError."""
        return clause_by_clause(
            texts,
            lambda text: self._speak_text(text, request),
            provider=self.name,
            sample_rate_hertz=SAMPLE_RATE_HERTZ,
        )

    async def _speak_text(self, text: str, request: SpeechRequest) -> AsyncIterator[SpeechChunk]:
        with provider_errors(Stage.SYNTHESIS, self.name):
            pieces = timely(self._pieces(text, request), self._endpoint.deadlines)
            async with closing(pieces) as audio:
                odd = b""
                async for piece in audio:
                    pcm = odd + piece
                    whole = len(pcm) - len(pcm) % 2
                    odd = pcm[whole:]
                    if whole:
                        yield SpeechChunk(pcm=pcm[:whole])
                if odd:
                    raise malformed_answer(
                        Stage.SYNTHESIS, self._endpoint, "it ends within a sample"
                    )

    async def _pieces(self, text: str, request: SpeechRequest) -> AsyncIterator[bytes]:
        fixed: dict[str, Any] = {
            "model": self._endpoint.model,
            "input": text,
            "voice": request.voice_id,
        }
        if request.speed != 1:
            fixed["speed"] = request.speed
        if delivery := ", ".join(filter(None, (request.style, request.emotion))):
            fixed["instructions"] = delivery

        def content_of(parameters: Parameters) -> dict[str, Any]:
            return {"json": {**fixed, **parameters.values}}

        async with self._requester.post("audio/speech", content_of) as response:
            kind = response.headers.get("content-type", "").lower()
            answer = ByteStream(response.aiter_bytes())
            head = await answer.peek(HEAD_BYTES)
            try:
                is_document = kind.startswith(("application/json", "text/")) or is_text(head)
                if is_document and container_of(head) is None:
                    answer, kind = ByteStream(once(await self._sound_in(answer))), ""
                async with closing(self._decoder.decode(answer, kind)) as decoded:
                    async for pcm in decoded:
                        yield pcm
            except SoundError as error:
                raise malformed_answer(Stage.SYNTHESIS, self._endpoint, str(error)) from None

    async def _sound_in(self, answer: ByteStream) -> bytes:
        """Return the audio in a JSON document; raises ProviderError if there is none."""
        body = await answer.peek(LONGEST_DOCUMENT)
        try:
            document = parse_json(body)
        except ValueError:
            document = None
        parts = document if isinstance(document, list) else [document]
        if not any(map(find_error, parts)) and (sound := next(_sounds(document), b"")):
            return sound
        what = "text instead of audio"
        raise malformed_answer(Stage.SYNTHESIS, self._endpoint, what, read_error(body))


def _sounds(document: object, key: str = "") -> Iterator[bytes]:
    """Yield the values of a document's audio members, decoded from base64 or hexadecimal."""
    match document:
        case dict():
            for name, value in document.items():
                yield from _sounds(value, str(name).lower())
        case list():
            # One sound in parts, whereas members beside each other are alternatives.
            if sound := b"".join(next(_sounds(value, key), b"") for value in document):
                yield sound
        case str() if key in _SOUND_KEYS:
            text = "".join(document.rpartition(";base64,")[2].split())
            # Base64 of silence consists of the letter A alone.
            is_hexadecimal = _HEXADECIMAL.fullmatch(text) is not None and not text.isalpha()
            with suppress(ValueError):
                yield bytes.fromhex(text) if is_hexadecimal else b64decode(text, validate=True)


VENDOR = SynthesizerVendor(settings=OpenAiSpeechSettings, open=open)
