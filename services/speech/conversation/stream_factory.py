"""Opens Converse streams: from a setup to a stream that takes part in its conversation."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.task.v1 import task_pb2
from services.runtime.channels.replicas import Replicas
from services.runtime.failures.errors import fields_within, invalid
from services.runtime.languages import AUTO
from services.speech.conversation.caller import AccompaniedSpeaker, CallerSpeaker
from services.speech.conversation.clients import Clients
from services.speech.conversation.conversation import Conversation
from services.speech.conversation.event_log import Listener
from services.speech.conversation.floor import StreamFloor
from services.speech.conversation.hang_up import hanging_up
from services.speech.conversation.registry import Conversations
from services.speech.conversation.reply import ReplyVoice
from services.speech.conversation.stream import ConverseStream
from services.speech.conversation.task_records import OnAir, TaskRecords
from services.speech.conversation.turn import StagesOf
from services.speech.listening.audio_input import AudioInput, Listening
from services.speech.listening.push_to_talk import PushToTalk
from services.speech.listening.turn_detector import Floor, TurnDetector
from services.speech.listening.wire import check_input_format
from services.speech.personas.catalogue import Persona, PersonaLanguage, Personas
from services.speech.playback.avatar import AvatarSpeaker
from services.speech.playback.ports import Speaker
from services.speech.playback.wire import to_format
from services.speech.ports.synthesis import Voice
from services.speech.voices import choose_voice, speaks


class StreamFactory:
    """Knows what streams need: conversations, tasks, avatars, personas, and what listens."""

    def __init__(
        self,
        *,
        conversations: Conversations,
        clients: Clients,
        records: TaskRecords,
        avatars: Replicas[AvatarServiceStub],
        service_token: str | None,
        personas: Personas,
        stages: StagesOf,
        listening: Listening,
    ) -> None:
        self._conversations = conversations
        self._clients = clients
        self._records = records
        self._avatars = avatars
        self._service_token = service_token
        self._personas = personas
        self._stages = stages
        self._listening = listening

    @asynccontextmanager
    async def opened(self, setup: pb.ConverseSetup) -> AsyncIterator[ConverseStream]:
        """A stream that takes part in its conversation; raises ServiceError."""
        is_resumed = setup.HasField("resume_after_sequence")
        if is_resumed and not setup.task_id:
            raise invalid("setup.resume_after_sequence", "needs_task", "needs a task_id")
        if setup.HasField("input_format"):
            check_input_format(setup.input_format, "setup.input_format")
        on_air = await self._records.until_on_air(setup.task_id) if setup.task_id else None
        reply_voice = self._reply_voice(setup, on_air)
        async with self._conversations.joined(setup.task_id) as conversation:
            events = conversation.events
            hears_nothing = on_air is not None and setup.output == pb.REPLY_OUTPUT_AVATAR
            attaching = events.attached(is_patient=hears_nothing)
            with self._clients.present(on_air), attaching as listener:
                known = conversation.in_call(reply_voice)
                ready = self._ready(setup, known, last_sequence=events.last_sequence)
                after = setup.resume_after_sequence
                backlog = await events.events_after(after) if is_resumed else ()
                speaker = self._speaker(setup, on_air, listener)
                floor = StreamFloor(
                    conversation=conversation,
                    reply_voice=reply_voice,
                    speaker=speaker,
                    recognizer=self._stages(reply_voice.persona).recognizer,
                )
                stream = ConverseStream(
                    conversation=conversation,
                    listener=listener,
                    ready=ready,
                    backlog=backlog,
                    reply_voice=reply_voice,
                    speaker=speaker,
                    audio_input=self._audio_input(setup, reply_voice, floor),
                    cuts_on_cancel=setup.cut_on_cancel,
                )
                try:
                    async with self._hanging_up(conversation, floor, on_air):
                        yield stream
                finally:
                    conversation.leave(speaker)

    def _reply_voice(self, setup: pb.ConverseSetup, on_air: OnAir | None) -> ReplyVoice:
        task_persona = on_air.persona_id if on_air else ""
        task_language = on_air.language_code if on_air else ""
        with fields_within("setup"):
            persona = self._personas.get(setup.persona_id or task_persona)
            wanted = setup.language_code or task_language
            if wanted != AUTO:
                language = persona.speaking(wanted)
                return self._in_language(persona, language, wanted_voice=setup.voice_id)
            first, *others = (
                self._in_language(
                    persona, each, wanted_voice=self._voice_for(persona, each, setup.voice_id)
                )
                for each in self._spoken_languages(persona)
            )
        return replace(first, others=tuple(others))

    def _spoken_languages(self, persona: Persona) -> Sequence[PersonaLanguage]:
        """Return the languages for which there are voices, at least the first one."""
        first, *others = persona.languages
        voices = self._voices(persona)
        return (
            first,
            *(each for each in others if any(speaks(v, each.language_code) for v in voices)),
        )

    def _voice_for(self, persona: Persona, language: PersonaLanguage, wanted: str) -> str:
        """Return the wanted voice for the languages that it speaks, and if there is none such."""
        found = next((v for v in self._voices(persona) if v.voice_id == wanted), None)
        is_fit = found is None or speaks(found, language.language_code)
        return wanted if is_fit else ""

    def _in_language(
        self, persona: Persona, language: PersonaLanguage, *, wanted_voice: str = ""
    ) -> ReplyVoice:
        voice = choose_voice(
            self._voices(persona),
            language.language_code,
            wanted=wanted_voice,
            preferred=language.voice_id,
        )
        return ReplyVoice(
            persona=persona,
            language=language,
            voice_id=voice.voice_id,
            is_voice_chosen=bool(wanted_voice),
        )

    def _voices(self, persona: Persona) -> Sequence[Voice]:
        return self._stages(persona).synthesizer.voices

    def _ready(
        self, setup: pb.ConverseSetup, reply_voice: ReplyVoice, *, last_sequence: int
    ) -> pb.ConverseReady:
        synthesizer = self._stages(reply_voice.persona).synthesizer
        return pb.ConverseReady(
            task_id=setup.task_id,
            persona_id=reply_voice.persona.persona_id,
            language_code=reply_voice.language.language_code,
            voice_id=reply_voice.voice_id,
            output_format=to_format(synthesizer.sample_rate_hertz),
            last_sequence=last_sequence,
        )

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
            return PushToTalk(
                detector, rules, open_hearing=floor.open_hearing, on_hypothesis=floor.note_words
            )
        return TurnDetector(
            detector=detector,
            rules=rules,
            turn_end=self._listening.turn_end,
            floor=floor,
            language_code=reply_voice.language.language_code,
        )

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
