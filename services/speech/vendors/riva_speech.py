"""Riva's voices, over gRPC: all texts of a reply in one call, or each in its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self, TypeAlias
from uuid import uuid4

import grpc
from pydantic import Field

from riva.proto import riva_tts_pb2, riva_tts_pb2_grpc
from riva.proto.riva_audio_pb2 import LINEAR_PCM
from riva.proto.riva_common_pb2 import RequestId
from services.runtime.pcm import duration_s
from services.runtime.settings.values import Names
from services.speech.answers import has_words
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice, WordTime
from services.speech.provider_settings import SynthesizerVendorSettings
from services.speech.streams import Deadlines, closing, once
from services.speech.vendors.alignment import TextCursor
from services.speech.vendors.declaration import SynthesizerVendor
from services.speech.vendors.feeding import clause_by_clause, on_session
from services.speech.vendors.http.client import Endpoint, malformed_answer, provider_errors
from services.speech.vendors.locales import locale_of
from services.speech.vendors.riva.calls import RivaCall, answered, open_call, open_channel
from services.speech.vendors.riva.settings import RivaSettings
from services.speech.vendors.sound.samples import WholeSamples
from services.speech.voices import any_language

SAMPLE_RATE_HERTZ = 24_000

Request: TypeAlias = riva_tts_pb2.SynthesizeSpeechRequest
Response: TypeAlias = riva_tts_pb2.SynthesizeSpeechResponse


class RivaSpeechSettings(RivaSettings, SynthesizerVendorSettings):
    """Voices of NVIDIA Riva."""

    voices: Names = Field(
        "Magpie-Multilingual.EN-US.Aria,Magpie-Multilingual.EN-US.Jason",
        description="voices on offer, separated by commas, the default first",
    )
    texts_per_call: Literal["all", "one"] = Field(
        "all",
        description="all texts of a reply in one call, as they are written; one for servers from"
        " before 2026, which speak one text in a call",
    )
    word_times: bool = Field(
        True, description="whether to ask for the times of words; not all models know them"
    )
    word_times_from: Literal["text", "call"] = Field(
        "text", description="from where those times count: the sound of each text, or of the call"
    )


def open(
    settings: RivaSpeechSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["RivaSynthesizer"]:
    """The synthesizer that the settings describe."""
    return RivaSynthesizer.open(settings, deadlines)


async def list_voices(settings: RivaSpeechSettings, deadlines: Deadlines) -> Sequence[Voice]:
    """Return the voices of the models that the server has loaded; raises ProviderError."""
    endpoint = Endpoint.of(settings, deadlines)
    with provider_errors(Stage.SYNTHESIS, endpoint.name):
        async with (
            asyncio.timeout(deadlines.total_s),
            open_channel(settings, endpoint) as channel,
        ):
            stub = riva_tts_pb2_grpc.RivaSpeechSynthesisStub(channel)
            asking = stub.GetRivaSynthesisConfig(
                riva_tts_pb2.RivaSynthesisConfigRequest(), metadata=settings.metadata
            )
            listed = await answered(asking, endpoint, Stage.SYNTHESIS)
    voices = [voice for each in listed.model_config for voice in _voices_of(each.parameters)]
    if not voices:
        raise malformed_answer(Stage.SYNTHESIS, endpoint, "it lists no voices")
    return voices


def _voices_of(model: Mapping[str, str]) -> Iterator[Voice]:
    """Yield the voices of a model, which lists them as `EN-US.Aria:0,EN-US.Jason:1`."""
    languages = tuple(filter(None, model.get("language_code", "").split(",")))
    for each in filter(None, model.get("subvoices", "").split(",")):
        name = each.partition(":")[0].strip()
        voice_id = ".".join(filter(None, (model.get("voice_name", ""), name)))
        yield Voice(voice_id=voice_id, display_name=name, language_codes=languages)


class RivaSynthesizer:
    """Speaks through calls on one channel."""

    sample_rate_hertz = SAMPLE_RATE_HERTZ

    def __init__(
        self, settings: RivaSpeechSettings, endpoint: Endpoint, channel: grpc.aio.Channel
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._voices = any_language(settings.voice_ids)
        self._stub = riva_tts_pb2_grpc.RivaSpeechSynthesisStub(channel)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: RivaSpeechSettings, deadlines: Deadlines) -> AsyncIterator[Self]:
        """A synthesizer with its own channel."""
        endpoint = Endpoint.of(settings, deadlines)
        async with open_channel(settings, endpoint) as channel:
            yield cls(settings, endpoint, channel)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that the settings name; each speaks any language, as far as is known."""
        return self._voices

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio as it arrives, in whole samples; raises ProviderError."""
        texts = _with_words(texts)
        if self._settings.texts_per_call == "all":
            chunks = self._speak(texts, request)
        else:
            chunks = clause_by_clause(
                texts,
                lambda text: self._speak(once(text), request),
                provider=self.name,
                sample_rate_hertz=SAMPLE_RATE_HERTZ,
            )
        with provider_errors(Stage.SYNTHESIS, self.name):
            async with closing(chunks):
                async for chunk in chunks:
                    yield chunk

    async def _speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        reply_id = uuid4().hex
        async with closing(texts), self._call(reply_id) as call:
            speech = _Speech(
                call,
                Request(
                    voice_name=request.voice_id,
                    language_code=locale_of(request.language_code),
                    encoding=LINEAR_PCM,
                    sample_rate_hz=SAMPLE_RATE_HERTZ,
                    enable_word_time_offsets=self._settings.word_times,
                    id=RequestId(value=reply_id),
                ),
                is_timed_from_start=self._settings.word_times_from == "call",
                provider=self.name,
            )
            chunks = on_session(
                texts,
                speech.chunks(),
                send=speech.send,
                finish=call.finish,
                deadlines=self._endpoint.deadlines,
                provider=self.name,
            )
            async with closing(chunks):
                async for chunk in chunks:
                    yield chunk

    def _call(self, reply_id: str) -> AbstractAsyncContextManager[RivaCall[Request, Response]]:
        start = partial(self._stub.SynthesizeOnline, metadata=self._settings.metadata)
        return open_call(start, self._endpoint, Stage.SYNTHESIS, reply_id)


async def _with_words(texts: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield texts that can be spoken: one without a word begins the next."""
    held = ""
    async with closing(texts):
        async for text in texts:
            held += text
            if has_words(held):
                yield held
                held = ""


@dataclass(slots=True, kw_only=True)
class _Text:
    """A text that was sent: where it begins in the reply, and what is found in it."""

    start: int
    cursor: TextCursor
    start_s: float = 0.0


class _Speech:
    """The audio of one call, and where in it the texts and words are.

    Riva repeats the id of a request in the responses to it; without ids there are no borders.
    """

    def __init__(
        self,
        call: RivaCall[Request, Response],
        request: Request,
        *,
        is_timed_from_start: bool,
        provider: str,
    ) -> None:
        self._call = call
        self._request = request
        self._is_timed_from_start = is_timed_from_start
        self._provider = provider
        self._texts: list[_Text] = []
        self._by_id: dict[str, _Text] = {}
        self._characters = 0
        self._pcm_bytes = 0
        self._spoken: _Text | None = None

    async def send(self, text: str) -> None:
        """Send text."""
        request = Request()
        request.CopyFrom(self._request)
        request.text = text
        request.id.value = f"{self._request.id.value}-{len(self._texts)}"
        sent = _Text(start=self._characters, cursor=TextCursor(text))
        self._characters += len(text)
        self._texts.append(sent)
        self._by_id[request.id.value] = sent
        await self._call.send(request)

    async def chunks(self) -> AsyncIterator[SpeechChunk]:
        """Yield the audio in whole samples, with its words, and where each text ends."""
        samples = WholeSamples()
        async with closing(self._call.responses()) as responses:
            async for response in responses:
                text = self._by_id.get(response.id.value)
                if text is not None and text is not self._spoken:
                    if self._spoken is not None:
                        yield SpeechChunk(pcm=b"", text_end=text.start)
                    self._spoken = text
                    text.start_s = duration_s(self._pcm_bytes, SAMPLE_RATE_HERTZ)
                pcm = samples.add(response.audio)
                self._pcm_bytes += len(pcm)
                if pcm or response.meta.words:
                    yield SpeechChunk(pcm=pcm, words=self._words(response))
        if samples.is_incomplete:
            raise self._call.malformed("it ends within a sample")
        if self._spoken is not None and self._spoken is not self._texts[-1]:
            what = "the call ends before its texts"
            raise ProviderError(Stage.SYNTHESIS, self._provider, what, transient=True)
        yield SpeechChunk(pcm=b"", text_end=self._characters)

    def _words(self, response: Response) -> tuple[WordTime, ...]:
        text = self._spoken
        if text is None:
            return ()
        offset_s = 0.0 if self._is_timed_from_start else text.start_s
        return tuple(
            WordTime(
                start=text.start + place[0],
                end=text.start + place[1],
                start_s=offset_s + word.start_time / 1000,
                end_s=offset_s + word.end_time / 1000,
            )
            for word in response.meta.words
            if (place := text.cursor.find(word.word)) is not None
        )


VENDOR = SynthesizerVendor(settings=RivaSpeechSettings, open=open, list_voices=list_voices)
