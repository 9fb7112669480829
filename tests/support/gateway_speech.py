"""The speech service behind a gateway under test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.conversation.v1 import conversation_pb2 as conversation_pb
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.speech.v1.speech_pb2_grpc import (
    SpeechServiceServicer,
)
from services.runtime.failures.errors import UNWRITTEN, ServiceError, to_status
from services.runtime.failures.reasons import Reason
from services.runtime.serving.streams import take_setup
from tests.support.gateway_script import (
    FINAL_STATES,
    LANGUAGES,
    REPLY,
    SAMPLE_QUESTIONS,
    SENTENCES,
    Context,
    Script,
    now,
)
from tests.support.gateway_tasks import ScriptedTasks


class ScriptedSpeech(SpeechServiceServicer):
    """Answers every question with the same reply."""

    def __init__(self, script: Script, tasks: ScriptedTasks) -> None:
        self.script = script
        self.tasks = tasks
        self.setups: list[speech_pb2.ConverseSetup] = []
        self.heard = bytearray()
        self.utterances: list[bytes] = []
        self.texts: list[str] = []
        self.says: list[speech_pb2.ConverseSay] = []
        self.interrupts = 0
        self.withdrawn: list[str] = []
        self.greeted: list[str] = []
        """Tasks of which a greeting was asked for."""
        self.cancelled = asyncio.Event()
        self.replying = asyncio.Event()
        self.personas = [
            speech_pb2.Persona(
                persona_id="guide",
                display_name="Guide",
                display_names={"zh": "向导"},
                description="Knows the way to everything in this house.",
                language_codes=LANGUAGES,
                greetings={"en": "Hello."},
                sample_questions=SAMPLE_QUESTIONS,
                variable_names=["name"],
                tool_names=["hours"],
            ),
            speech_pb2.Persona(
                persona_id="mute", language_codes=["en"], digital_human_id="parley_yuna"
            ),
        ]
        self._sequence = 0
        self._taken = asyncio.Condition()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when a condition on what was asked and heard holds."""
        async with self._taken, asyncio.timeout(60):
            await self._taken.wait_for(condition)

    async def _note(self) -> None:
        async with self._taken:
            self._taken.notify_all()

    async def Converse(
        self, requests: AsyncIterator[speech_pb2.ConverseRequest], context: Context
    ) -> AsyncIterator[speech_pb2.ConverseResponse]:
        self.script.check("Converse")
        try:
            async for response in self._converse(requests, context):
                yield response
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    async def _converse(
        self, requests: AsyncIterator[speech_pb2.ConverseRequest], context: Context
    ) -> AsyncIterator[speech_pb2.ConverseResponse]:
        setup = (await take_setup(requests)).setup
        self.setups.append(setup)
        await self._note()
        await self.tasks.find_task(setup.task_id)
        task = self.tasks.tasks[setup.task_id]
        if task.state in FINAL_STATES:
            raise ServiceError(Reason.TASK_ENDED, "The task has ended.")
        if setup.language_code and setup.language_code not in LANGUAGES:
            raise ServiceError(Reason.LANGUAGE_UNSUPPORTED, "The language is not offered.")
        yield speech_pb2.ConverseResponse(
            ready=speech_pb2.ConverseReady(task_id=setup.task_id, language_code="en")
        )
        if self.script.sent_on:
            self.script.sent_on -= 1
            raise ServiceError(Reason.DRAINING, "This replica shuts down; another one goes on.")
        if self.script.unwritten:
            self.script.unwritten -= 1
            await context.abort(grpc.StatusCode.INTERNAL, UNWRITTEN)
        pcm = bytearray()
        async for request in requests:
            match request.WhichOneof("request"):
                case "audio":
                    pcm += request.audio.pcm
                    self.heard += request.audio.pcm
                case "commit":
                    self.utterances.append(bytes(pcm))
                    async for response in self._turn("what was heard", is_spoken=True):
                        yield response
                case "text":
                    self.texts.append(request.text.text)
                    async for response in self._turn(request.text.text, request.text.request_id):
                        yield response
                case "say":
                    self.says.append(request.say)
                    async for response in self._turn("", request.say.request_id):
                        yield response
                case "interrupt":
                    self.interrupts += 1
                case "withdraw":
                    self.withdrawn.append(request.withdraw.request_id)
                case "greet":
                    self.greeted.append(setup.task_id)
                    await self._note()
                    yield self._event(
                        turn_started=conversation_pb.TurnStarted(
                            origin=conversation_pb.TURN_ORIGIN_GREETING, language_code="en"
                        )
                    )
                    greeted = conversation_pb.TurnFinished(reply_text="Hello.", heard_text="Hello.")
                    yield self._event(turn_finished=greeted)
                case "leave":
                    # As the real one does; a line whose client has left would stay open.
                    return
            await self._note()

    async def _turn(
        self, question: str, request_id: str = "", *, is_spoken: bool = False
    ) -> AsyncIterator[speech_pb2.ConverseResponse]:
        if self.script.is_silent:
            return
        if is_spoken:
            updated = conversation_pb.TranscriptUpdated(text=question, is_final=True)
            yield self._event(transcript_updated=updated)
        origin = (
            conversation_pb.TURN_ORIGIN_SPEECH if is_spoken else conversation_pb.TURN_ORIGIN_TEXT
        )
        started = conversation_pb.TurnStarted(
            origin=origin, user_text=question, language_code="en", request_id=request_id
        )
        yield self._event(turn_started=started)
        yield self._event(reply_updated=conversation_pb.ReplyUpdated(delta=SENTENCES[0]))
        if self.script.turn_break:
            raise self.script.turn_break
        if self.script.turn_failure:
            failed = conversation_pb.TurnFailed(
                status=to_status(self.script.turn_failure), reply_text=SENTENCES[0]
            )
            yield self._event(turn_failed=failed)
            return
        self.replying.set()
        if self.script.hold_reply:
            await self.script.hold_reply.wait()
        sentence = conversation_pb.SentenceStarted(
            text=SENTENCES[0],
            text_end=len(SENTENCES[0]),
            words=[conversation_pb.WordTiming(start=0, end=2, end_offset=_span(250))],
        )
        yield self._event(sentence_started=sentence)
        confirmed = conversation_pb.PLAYBACK_METHOD_CONFIRMED
        yield self._event(playback_started=conversation_pb.PlaybackStarted(method=confirmed))
        yield self._event(reply_updated=conversation_pb.ReplyUpdated(delta=SENTENCES[1]))
        finished = conversation_pb.TurnFinished(
            reply_text=REPLY,
            heard_text=REPLY,
            ledger=conversation_pb.LedgerSummary(
                sentence_count=2,
                produced_duration=_span(2000),
                sent_duration=_span(2000),
                played_duration=_span(2000),
                playback_method=confirmed,
                heard_method=conversation_pb.HEARD_METHOD_COMPLETE,
                confidence=1.0,
            ),
            latency=conversation_pb.LatencyWaterfall(
                anchor_time=now(),
                transcript_offset=_span(300),
                first_token_offset=_span(450),
                playback_started_offset=_span(900),
            ),
        )
        yield self._event(turn_finished=finished)

    def _event(self, **event: Any) -> speech_pb2.ConverseResponse:
        self._sequence += 1
        return speech_pb2.ConverseResponse(
            event=conversation_pb.ConversationEvent(
                sequence=self._sequence, event_time=now(), turn_id=1, **event
            )
        )

    async def ListPersonas(
        self, request: speech_pb2.ListPersonasRequest, context: Context
    ) -> speech_pb2.ListPersonasResponse:
        self.script.check("ListPersonas")
        return speech_pb2.ListPersonasResponse(
            personas=self.personas,
            default_persona_id="guide",
        )

    async def ListVoices(
        self, request: speech_pb2.ListVoicesRequest, context: Context
    ) -> speech_pb2.ListVoicesResponse:
        self.script.check("ListVoices")
        voice = speech_pb2.Voice(voice_id="anna", display_name="Anna", language_codes=["en"])
        return speech_pb2.ListVoicesResponse(voices=[voice])

    async def Synthesize(
        self, request: speech_pb2.SynthesizeRequest, context: Context
    ) -> AsyncIterator[speech_pb2.SynthesizeResponse]:
        self.script.check("Synthesize")
        format = audio_pb2.AudioFormat(sample_rate_hertz=24_000, channel_count=1)
        yield speech_pb2.SynthesizeResponse(format=format, pcm=bytes(480))


def _span(milliseconds: int) -> Duration:
    span = Duration()
    span.FromMilliseconds(milliseconds)
    return span
