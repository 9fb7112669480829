"""The speech service's contract on top of its conversations and stages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

import grpc

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceServicer
from digitalhuman.task.v1 import task_pb2
from services.runtime.errors import fields_within, invalid, refused
from services.runtime.languages import primary
from services.runtime.pcm import byte_count, duration_s
from services.runtime.reasons import Reason
from services.runtime.streams import after_setup, take_setup
from services.speech.conversation.caller import AccompaniedSpeaker, CallerSpeaker
from services.speech.conversation.conversation import Conversation
from services.speech.conversation.event_log import Item, Listener, ProducedAudio
from services.speech.conversation.events import SentenceStarted
from services.speech.conversation.floor import StreamFloor
from services.speech.conversation.hang_up import hanging_up
from services.speech.conversation.record import OnAir, TaskRecords
from services.speech.conversation.registry import Conversations
from services.speech.conversation.stream import AudioInput, Session
from services.speech.conversation.turn import ReplyVoice
from services.speech.conversation.wire import to_sentence, to_transcript
from services.speech.listening.push_to_talk import PushToTalk
from services.speech.listening.rules import ListeningRules
from services.speech.listening.turn_detector import Floor, TurnDetector
from services.speech.listening.wire import check_input_format, check_pcm
from services.speech.personas.catalogue import Personas
from services.speech.personas.wire import to_persona, to_voice
from services.speech.playback.avatar import AvatarSpeaker
from services.speech.playback.voicing import Voicing
from services.speech.playback.wire import to_format
from services.speech.ports import (
    LISTENING_RATE_HERTZ,
    ProviderError,
    Recognizer,
    Speaker,
    Stage,
    Synthesizer,
    TurnEndModel,
    VoiceDetector,
)
from services.speech.providers.failures import provider_failure, provider_late
from services.speech.streams import Deadlines, closing, timely
from services.speech.text.segmentation import Splitter
from services.speech.voices import choose_voice, voices_for

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100
MESSAGE_S = 0.2

TRANSCRIPTION = Deadlines(first_s=120, next_s=60, total_s=240)
"""The caller's own time to send the audio is in there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What makes ears."""

    make_detector: Callable[[], VoiceDetector]
    turn_end: TurnEndModel | None
    rules: ListeningRules


class SpeechServicer(SpeechServiceServicer):
    """Answers calls; what fails is raised as ServiceError."""

    def __init__(
        self,
        *,
        conversations: Conversations,
        records: TaskRecords,
        avatars: AvatarServiceStub,
        service_token: str | None,
        personas: Personas,
        recognizer: Recognizer,
        synthesizer: Synthesizer,
        listening: Listening,
    ) -> None:
        self._conversations = conversations
        self._records = records
        self._avatars = avatars
        self._service_token = service_token
        self._personas = personas
        self._recognizer = recognizer
        self._synthesizer = synthesizer
        self._listening = listening

    async def Converse(  # type: ignore[override]  # the coroutine form
        self, requests: AsyncIterator[pb.ConverseRequest], context: Context
    ) -> None:
        """Hold a conversation; this coroutine is the stream's only writer."""
        setup = (await take_setup(requests)).setup
        async with self._joined(setup) as (session, backlog):
            await context.write(self._ready(setup, session))
            reading = asyncio.create_task(session.read(after_setup(requests)))
            try:
                for event in backlog:
                    await context.write(pb.ConverseResponse(event=event))
                async with closing(session.listener.items()) as items:
                    async for item in items:
                        await context.write(_to_response(item))
            except asyncio.CancelledError:
                session.abandon()
                raise
            finally:
                reading.cancel()
                await asyncio.wait({reading})

    async def Transcribe(  # type: ignore[override]  # the coroutine form
        self, requests: AsyncIterator[pb.TranscribeRequest], context: Context
    ) -> None:
        """Recognise one utterance."""
        setup = (await take_setup(requests)).setup
        check_input_format(setup.format, "setup.format")
        self._check_language(setup.language_code)
        hypotheses = self._recognizer.transcribe(
            self._audio(after_setup(requests)), language_code=setup.language_code
        )
        try:
            async with closing(timely(hypotheses, TRANSCRIPTION)) as transcripts:
                async for each in transcripts:
                    transcript = to_transcript(each.text.strip(), each.is_final)
                    await context.write(pb.TranscribeResponse(transcript=transcript))
        except ProviderError as error:
            raise provider_failure(error) from error
        except TimeoutError:
            raise provider_late(Stage.RECOGNITION, self._recognizer.name) from None

    async def Synthesize(  # type: ignore[override]  # the coroutine form
        self, request: pb.SynthesizeRequest, context: Context
    ) -> None:
        """Speak a text."""
        voice = choose_voice(
            self._synthesizer.voices, request.language_code, wanted=request.voice_id
        )
        voicing = Voicing(
            self._synthesizer, voice_id=voice.voice_id, language_code=request.language_code
        )
        async with closing(self._spoken(request.text, voicing)) as responses:
            async for response in responses:
                await context.write(response)

    async def ListPersonas(
        self, request: pb.ListPersonasRequest, context: Context
    ) -> pb.ListPersonasResponse:
        """List a page of personas."""
        personas = tuple(self._personas.by_id.values())
        page, next_page_token = _page(personas, request.page_size, request.page_token)
        return pb.ListPersonasResponse(
            personas=[to_persona(persona) for persona in page],
            next_page_token=next_page_token,
            default_persona_id=self._personas.default_id,
        )

    async def ListVoices(
        self, request: pb.ListVoicesRequest, context: Context
    ) -> pb.ListVoicesResponse:
        """List a page of voices."""
        voices = self._synthesizer.voices
        if request.language_code:
            voices = voices_for(voices, request.language_code)
        page, next_page_token = _page(voices, request.page_size, request.page_token)
        return pb.ListVoicesResponse(
            voices=[to_voice(voice) for voice in page], next_page_token=next_page_token
        )

    @asynccontextmanager
    async def _joined(
        self, setup: pb.ConverseSetup
    ) -> AsyncIterator[tuple[Session, Sequence[conversation_pb2.ConversationEvent]]]:
        """A stream's session, and the events that it missed."""
        is_resumed = setup.HasField("resume_after_sequence")
        if is_resumed and not setup.task_id:
            raise invalid("setup.resume_after_sequence", "needs_task", "needs a task_id")
        if setup.HasField("input_format"):
            check_input_format(setup.input_format, "setup.input_format")
        on_air = await self._records.until_on_air(setup.task_id) if setup.task_id else None
        reply_voice = self._reply_voice(setup, on_air)
        async with self._conversations.joined(setup.task_id) as conversation:
            with conversation.events.attached() as listener:
                joined_after = conversation.events.last_sequence
                after = setup.resume_after_sequence
                backlog = await conversation.events_after(after) if is_resumed else ()
                speaker = self._speaker(setup, on_air, listener)
                floor = StreamFloor(
                    conversation=conversation,
                    reply_voice=reply_voice,
                    speaker=speaker,
                    recognizer=self._recognizer,
                )
                session = Session(
                    conversation=conversation,
                    listener=listener,
                    joined_after=joined_after,
                    reply_voice=reply_voice,
                    speaker=speaker,
                    audio_input=self._audio_input(setup, reply_voice, floor),
                    cuts_on_cancel=setup.cut_on_cancel,
                )
                try:
                    async with self._hanging_up(conversation, floor, on_air):
                        yield session, backlog
                finally:
                    conversation.leave(speaker)

    def _hanging_up(
        self, conversation: Conversation, floor: StreamFloor, on_air: OnAir | None
    ) -> AbstractAsyncContextManager[None]:
        """End the task of a user who says nothing; a conversation without one costs nothing."""
        if on_air is None:
            return nullcontext()
        return hanging_up(
            conversation,
            longest_quiet_s=on_air.max_idle_s,
            warn=floor.warn,
            end=partial(self._records.stop, on_air.task_id, task_pb2.STOP_REASON_IDLE),
        )

    def _reply_voice(self, setup: pb.ConverseSetup, on_air: OnAir | None) -> ReplyVoice:
        task_persona = on_air.persona_id if on_air else ""
        task_language = on_air.language_code if on_air else ""
        with fields_within("setup"):
            persona = self._personas.get(setup.persona_id or task_persona)
            language = persona.speaking(setup.language_code or task_language)
            voice = choose_voice(
                self._synthesizer.voices,
                language.language_code,
                wanted=setup.voice_id,
                preferred=language.voice_id,
            )
        return ReplyVoice(persona=persona, language=language, voice_id=voice.voice_id)

    def _speaker(
        self, setup: pb.ConverseSetup, on_air: OnAir | None, listener: Listener
    ) -> Speaker:
        if on_air is None or setup.output == pb.REPLY_OUTPUT_AUDIO:
            return CallerSpeaker(listener)
        avatar = AvatarSpeaker(
            self._avatars, avatar_id=on_air.avatar_id, service_token=self._service_token
        )
        if setup.output == pb.REPLY_OUTPUT_AVATAR_AND_AUDIO:
            return AccompaniedSpeaker(avatar, listener)
        return avatar

    def _audio_input(
        self, setup: pb.ConverseSetup, reply_voice: ReplyVoice, floor: Floor
    ) -> AudioInput | None:
        if not setup.HasField("input_format"):
            return None
        detector = self._listening.make_detector()
        rules = replace(self._listening.rules, **reply_voice.persona.listening)
        if setup.turn_detection == pb.TURN_DETECTION_MANUAL:
            return PushToTalk(detector, rules)
        return TurnDetector(
            detector=detector,
            rules=rules,
            turn_end=self._listening.turn_end,
            floor=floor,
            language_code=reply_voice.language.language_code,
        )

    def _ready(self, setup: pb.ConverseSetup, session: Session) -> pb.ConverseResponse:
        ready = pb.ConverseReady(
            task_id=setup.task_id,
            persona_id=session.reply_voice.persona.persona_id,
            language_code=session.reply_voice.language.language_code,
            voice_id=session.reply_voice.voice_id,
            output_format=to_format(self._synthesizer.sample_rate_hertz),
            last_sequence=session.joined_after,
        )
        return pb.ConverseResponse(ready=ready)

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
        longest_s = self._listening.rules.longest_s
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
        size = byte_count(MESSAGE_S, rate)
        splitter = Splitter()
        response = pb.SynthesizeResponse(format=to_format(rate))
        spoken_bytes = 0
        for segment in (*splitter.feed(text), *splitter.flush()):
            spoken_text = voicing.spoken(segment.text).text
            if not spoken_text:
                continue
            is_begun = False
            async with closing(voicing.speak(spoken_text)) as chunks:
                async for chunk in chunks:
                    if not is_begun:
                        is_begun = True
                        sentence = SentenceStarted(
                            text=spoken_text,
                            text_start=segment.start,
                            text_end=segment.end,
                            audio_s=duration_s(spoken_bytes, rate),
                            words=chunk.words,
                        )
                        response.sentence.CopyFrom(to_sentence(sentence))
                    for at in range(0, len(chunk.pcm), size):
                        response.pcm = chunk.pcm[at : at + size]
                        yield response
                        response = pb.SynthesizeResponse()
                    spoken_bytes += len(chunk.pcm)


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
