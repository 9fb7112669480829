"""Riva's recognizers, live, over gRPC.

Riva ends an utterance where the speaker pauses, and says early that the end is likely.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Self, TypeAlias
from uuid import uuid4

import grpc
from pydantic import Field

from riva.proto import riva_asr_pb2, riva_asr_pb2_grpc
from riva.proto.riva_audio_pb2 import LINEAR_PCM
from riva.proto.riva_common_pb2 import RequestId
from services.runtime.languages import primary
from services.runtime.pcm import byte_count
from services.runtime.settings.values import Name
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Transcript
from services.speech.ports.stages import Stage
from services.speech.streams import Deadlines, closing
from services.speech.vendors.declaration import RecognizerVendor
from services.speech.vendors.hearing import on_stream
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.locales import locale_of
from services.speech.vendors.riva.calls import RivaCall, open_call, open_channel
from services.speech.vendors.riva.hearing import CallTranscripts
from services.speech.vendors.riva.settings import RivaSettings

PACKET_BYTES = byte_count(0.1, LISTENING_RATE_HERTZ)

Request: TypeAlias = riva_asr_pb2.StreamingRecognizeRequest
Response: TypeAlias = riva_asr_pb2.StreamingRecognizeResponse


class RivaTranscriptionSettings(RivaSettings):
    """A recognizer of NVIDIA Riva."""

    detection_code: Name = Field(
        "multi",
        description="what is sent as language where several may be spoken; the model must know it",
    )
    hot_word_boost: float = Field(
        20.0, ge=0, le=100, description="how much likelier names and terms become"
    )
    ends_turns: bool = Field(
        True, description="whether its pauses end turns; otherwise the service judges them"
    )
    likely_silence_ms: int = Field(
        300,
        ge=100,
        le=5000,
        description="silence that makes the end of the turn likely, in milliseconds",
    )
    turn_silence_ms: int = Field(
        800,
        ge=200,
        le=10_000,
        description="silence that makes the end of the turn certain, in milliseconds",
    )


def open(
    settings: RivaTranscriptionSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["RivaRecognizer"]:
    """The recognizer that the settings describe."""
    return RivaRecognizer.open(settings, deadlines)


class RivaRecognizer:
    """Recognizes each utterance in a call of its own."""

    is_streaming = True

    def __init__(
        self,
        settings: RivaTranscriptionSettings,
        endpoint: Endpoint,
        channel: grpc.aio.Channel,
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._stub = riva_asr_pb2_grpc.RivaSpeechRecognitionStub(channel)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: RivaTranscriptionSettings, deadlines: Deadlines
    ) -> AsyncIterator[Self]:
        """A recognizer with its own channel."""
        endpoint = Endpoint.of(settings, deadlines)
        async with open_channel(settings, endpoint) as channel:
            yield cls(settings, endpoint, channel)

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
        request_id = uuid4().hex
        with provider_errors(Stage.RECOGNITION, self.name):
            async with closing(audio), self._call(request_id) as call:
                await call.send(
                    Request(streaming_config=self._config(request), id=RequestId(value=request_id))
                )
                hearing = CallTranscripts(call, self.name, ends_turns=self._settings.ends_turns)
                transcripts = on_stream(
                    audio,
                    hearing.transcripts(),
                    send=lambda packet: call.send(Request(audio_content=packet)),
                    finish=hearing.finish,
                    packet_bytes=PACKET_BYTES,
                    deadlines=self._endpoint.deadlines,
                    provider=self.name,
                )
                async with closing(transcripts):
                    async for transcript in transcripts:
                        yield transcript

    def _call(self, request_id: str) -> AbstractAsyncContextManager[RivaCall[Request, Response]]:
        start = partial(self._stub.StreamingRecognize, metadata=self._settings.metadata)
        return open_call(start, self._endpoint, Stage.RECOGNITION, request_id)

    def _config(self, request: RecognitionRequest) -> riva_asr_pb2.StreamingRecognitionConfig:
        contexts = []
        if request.hot_words:
            contexts.append(
                riva_asr_pb2.SpeechContext(
                    phrases=request.hot_words, boost=self._settings.hot_word_boost
                )
            )
        model = self._settings.model
        config = riva_asr_pb2.RecognitionConfig(
            encoding=LINEAR_PCM,
            sample_rate_hertz=LISTENING_RATE_HERTZ,
            audio_channel_count=1,
            language_code=self._language(request),
            max_alternatives=1,
            enable_automatic_punctuation=True,
            enable_word_time_offsets=True,
            speech_contexts=contexts,
            model="" if model == "default" else model,
            endpointing_config=self._endpointing(),
        )
        return riva_asr_pb2.StreamingRecognitionConfig(config=config, interim_results=True)

    def _endpointing(self) -> riva_asr_pb2.EndpointingConfig | None:
        if not self._settings.ends_turns:
            return None
        return riva_asr_pb2.EndpointingConfig(
            stop_history=self._settings.turn_silence_ms,
            stop_history_eou=self._settings.likely_silence_ms,
        )

    def _language(self, request: RecognitionRequest) -> str:
        """Return the language, with the region that Riva wants."""
        if len({primary(code) for code in request.language_codes}) > 1:
            return self._settings.detection_code
        return locale_of(request.language_code)


VENDOR = RecognizerVendor(settings=RivaTranscriptionSettings, open=open)
