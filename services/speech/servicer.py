"""The speech service's contract on top of its conversations and stages."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, assert_never

import grpc

from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceServicer
from services.runtime.callers.flow import in_flow
from services.runtime.failures.errors import invalid, refused
from services.runtime.failures.reasons import Reason
from services.runtime.languages import primary
from services.runtime.pcm import byte_count, duration_s
from services.runtime.serving.streams import after_setup, take_setup
from services.speech.conversation.event_log import Item, ProducedAudio
from services.speech.conversation.events import SentenceStarted
from services.speech.conversation.sentences import sentences
from services.speech.conversation.stream_factory import StreamFactory
from services.speech.conversation.talk_rate import TalkRate
from services.speech.conversation.wire import to_sentence, to_transcript
from services.speech.listening.wire import check_input_format, check_pcm
from services.speech.personas.catalogue import Personas
from services.speech.personas.wire import to_persona, to_voice
from services.speech.playback.ledger import Ledger
from services.speech.playback.voicing import Voicing
from services.speech.playback.wire import to_format
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Recognizer
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Synthesizer
from services.speech.providers.failures import provider_failures, provider_late
from services.speech.streams import Deadlines, closing, once, timely
from services.speech.text.segmentation import split
from services.speech.tools.tool import NO_TOOLS, Toolset
from services.speech.voices import choose_voice, voices_for

RpcContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100

SYNTHESIS_MESSAGE_S = 0.2
"""The most audio of one message of Synthesize."""

TRANSCRIPTION = Deadlines(first_s=120, next_s=60, total_s=240)
"""The caller's own time to send the audio is included."""


class SpeechServicer(SpeechServiceServicer):
    """Answers calls; what fails is raised as ServiceError."""

    def __init__(
        self,
        *,
        streams: StreamFactory,
        personas: Personas,
        toolsets: Mapping[str, Toolset],
        recognizer: Recognizer,
        synthesizer: Synthesizer,
        longest_utterance_s: float,
        talk_rate: TalkRate,
    ) -> None:
        self._streams = streams
        self._personas = personas
        self._toolsets = toolsets
        self._recognizer = recognizer
        self._synthesizer = synthesizer
        self._longest_utterance_s = longest_utterance_s
        self._talk_rate = talk_rate

    async def Converse(  # type: ignore[override]  # the coroutine form
        self, requests: AsyncIterator[pb.ConverseRequest], context: RpcContext
    ) -> None:
        """Hold a conversation."""
        setup = (await take_setup(requests)).setup
        with in_flow(setup.task_id or uuid.uuid4().hex):
            await self._converse(setup, requests, context)

    async def Transcribe(  # type: ignore[override]  # the coroutine form
        self, requests: AsyncIterator[pb.TranscribeRequest], context: RpcContext
    ) -> None:
        """Recognise one utterance."""
        setup = (await take_setup(requests)).setup
        check_input_format(setup.format, "setup.format")
        self._check_language(setup.language_code)
        self._talk_rate.take()
        hypotheses = self._recognizer.transcribe(
            self._audio(after_setup(requests)),
            RecognitionRequest(language_codes=(setup.language_code,)),
        )
        try:
            with provider_failures():
                async with closing(timely(hypotheses, TRANSCRIPTION)) as transcripts:
                    async for each in transcripts:
                        transcript = to_transcript(each.text.strip(), each.is_final)
                        await context.write(pb.TranscribeResponse(transcript=transcript))
        except TimeoutError:
            raise provider_late(Stage.RECOGNITION, self._recognizer.name) from None

    async def Synthesize(  # type: ignore[override]  # the coroutine form
        self, request: pb.SynthesizeRequest, context: RpcContext
    ) -> None:
        """Speak a text."""
        voice = choose_voice(
            self._synthesizer.voices, request.language_code, wanted=request.voice_id
        )
        self._talk_rate.take()
        voicing = Voicing(
            synthesizer=self._synthesizer,
            request=SpeechRequest(voice_id=voice.voice_id, language_code=request.language_code),
        )
        async with closing(self._spoken(request.text, voicing)) as responses:
            async for response in responses:
                await context.write(response)

    async def ListPersonas(
        self, request: pb.ListPersonasRequest, context: RpcContext
    ) -> pb.ListPersonasResponse:
        """List a page of personas."""
        personas = tuple(self._personas.by_id.values())
        page, next_page_token = _page(personas, request.page_size, request.page_token)
        return pb.ListPersonasResponse(
            personas=[
                to_persona(each, self._toolsets.get(each.persona_id, NO_TOOLS).tools)
                for each in page
            ],
            next_page_token=next_page_token,
            default_persona_id=self._personas.default_id,
        )

    async def ListVoices(
        self, request: pb.ListVoicesRequest, context: RpcContext
    ) -> pb.ListVoicesResponse:
        """List a page of voices."""
        voices = self._synthesizer.voices
        if request.language_code:
            voices = voices_for(voices, request.language_code)
        page, next_page_token = _page(voices, request.page_size, request.page_token)
        return pb.ListVoicesResponse(
            voices=[to_voice(voice) for voice in page], next_page_token=next_page_token
        )

    async def _converse(
        self,
        setup: pb.ConverseSetup,
        requests: AsyncIterator[pb.ConverseRequest],
        context: RpcContext,
    ) -> None:
        """Hold a conversation; this coroutine is the stream's only writer."""
        async with self._streams.opened(setup) as stream:
            await context.write(pb.ConverseResponse(ready=stream.ready))
            reading = asyncio.create_task(stream.read(after_setup(requests)))
            try:
                for event in stream.backlog:
                    await context.write(pb.ConverseResponse(event=event))
                async with closing(stream.listener.items()) as items:
                    async for item in items:
                        await context.write(_to_response(item))
            except asyncio.CancelledError:
                stream.cancel()
                raise
            finally:
                reading.cancel()
                await asyncio.wait({reading})

    def _check_language(self, language_code: str) -> None:
        """Refuse a language that no persona speaks."""
        offered = {
            primary(language.language_code)
            for persona in self._personas.by_id.values()
            for language in persona.languages
        }
        if primary(language_code) not in offered:
            raise refused(
                Reason.LANGUAGE_UNSUPPORTED,
                "setup.language_code",
                "offered",
                f"{language_code} is not one of {', '.join(sorted(offered))}",
                language_code=language_code,
            )

    async def _audio(self, requests: AsyncIterator[pb.TranscribeRequest]) -> AsyncIterator[bytes]:
        longest_s = self._longest_utterance_s
        size = 0
        async for request in requests:
            pcm = check_pcm(request.audio.pcm, "audio.pcm")
            size += len(pcm)
            if duration_s(size, LISTENING_RATE_HERTZ) > longest_s:
                raise refused(
                    Reason.AUDIO_TOO_LONG,
                    "audio.pcm",
                    "max_duration",
                    f"an utterance is at most {longest_s:g} seconds long",
                )
            yield pcm
        if not size:
            raise refused(Reason.AUDIO_INVALID, "audio", "required", "there was none")

    async def _spoken(self, text: str, voicing: Voicing) -> AsyncIterator[pb.SynthesizeResponse]:
        rate = self._synthesizer.sample_rate_hertz
        size = byte_count(SYNTHESIS_MESSAGE_S, rate)
        response = pb.SynthesizeResponse(format=to_format(rate))
        spoken = sentences(split(once(text)), lambda _: voicing, Ledger(sample_rate_hertz=rate))
        async with closing(spoken) as items:
            async for item in items:
                match item:
                    case SentenceStarted():
                        response.sentence.CopyFrom(to_sentence(item))
                    case SpeechChunk(pcm=pcm):
                        for at in range(0, len(pcm), size):
                            response.pcm = pcm[at : at + size]
                            yield response
                            response = pb.SynthesizeResponse()
                    case _:
                        assert_never(item)


def _to_response(item: Item) -> pb.ConverseResponse:
    if isinstance(item, ProducedAudio):
        produced = pb.AudioProduced(turn_id=item.turn_id, pcm=item.pcm)
        return pb.ConverseResponse(audio_produced=produced)
    return pb.ConverseResponse(event=item)


def _page(items: Sequence[T], page_size: int, page_token: str) -> tuple[Sequence[T], str]:
    if page_token and not (page_token.isascii() and page_token.isdecimal()):
        raise invalid("page_token", "unknown", "must be a next_page_token of the page before")
    start = int(page_token or 0)
    end = start + (page_size or DEFAULT_PAGE_SIZE)
    return items[start:end], str(end) if end < len(items) else ""
