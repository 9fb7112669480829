"""Scripted providers, and the avatar and task services as conversations need them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from digitalhuman.avatar.v1 import avatar_pb2, avatar_pb2_grpc
from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1 import speech_pb2_grpc
from digitalhuman.task.v1 import task_pb2, task_pb2_grpc
from services.runtime.errors import ServiceError, from_rpc_error
from services.runtime.pcm import byte_count, duration_s
from services.runtime.reasons import Reason
from services.runtime.requests import Metadata
from services.runtime.serving import Serving, ServingOptions, serving
from services.runtime.streams import after_setup, take_setup
from services.runtime.tenants import NO_QUOTAS, Tenants
from services.runtime.wire import to_duration
from services.speech.app import Providers, running
from services.speech.listening.audio_input import Listening
from services.speech.listening.rules import ListeningRules
from services.speech.personas.catalogue import Fact, Persona, PersonaLanguage, Personas
from services.speech.personas.tool_format import ToolsTable
from services.speech.playback.wire import to_format
from services.speech.ports import (
    ChatItem,
    ChatMessage,
    ChatModel,
    ChatRequest,
    RecognitionRequest,
    Recognizer,
    SpeechChunk,
    SpeechRequest,
    Synthesizer,
    Transcript,
    Voice,
    WordTime,
)
from services.speech.provider_settings import Price
from services.speech.providers.counting import (
    CountedChatModel,
    CountedRecognizer,
    CountedSynthesizer,
)
from services.speech.providers.factory import Trio
from services.speech.vendors.feeding import clause_by_clause
from services.speech.vendors.openai_chat import OpenAiChatModel
from services.speech.vendors.openai_speech import OpenAiSynthesizer
from services.speech.vendors.openai_transcription import OpenAiRecognizer
from tests.support.owners import Owners

RATE = 16_000
LOUD = b"\x00\x40" * 256
"""A frame in which the scripted detector hears a voice."""

QUIET = bytes(512)
TASK_ID = "task_a"

Failing = Callable[[], Exception]


def voiced(seconds: float) -> bytes:
    """Return audio in which the scripted detector hears a voice."""
    return LOUD * round(seconds * RATE / 256)


def silent(seconds: float) -> bytes:
    """Return audio without a voice."""
    return QUIET * round(seconds * RATE / 256)


class LoudnessDetector:
    """Hears a voice in frames whose first sample is loud."""

    @property
    def frame_bytes(self) -> int:
        """As earshot's."""
        return 512

    def speech_probability(self, frame: bytes) -> float:
        """0 or 1."""
        return float(frame[:2] != b"\x00\x00")


@dataclass(slots=True, kw_only=True)
class ScriptedRecognizer:
    """Hears the same words in every utterance, or what `hears` finds in its audio, or fails."""

    name: str = "scripted"
    hypotheses: Sequence[str] = ("hello there",)
    hears: Callable[[bytes], str] | None = None
    error: Exception | None = None
    first_s: float = 0.0
    gate: asyncio.Event | None = None
    heard: list[bytes] = field(default_factory=list)

    requests: list[RecognitionRequest] = field(default_factory=list)
    is_streaming: bool = False
    detects_turn_ends: bool = False

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the hypotheses, the last as final."""
        self.requests.append(request)
        utterance = b"".join([chunk async for chunk in audio])
        self.heard.append(utterance)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(self.first_s)
        if self.error is not None:
            raise self.error
        hypotheses = self.hypotheses if self.hears is None else (self.hears(utterance),)
        for hypothesis in hypotheses[:-1]:
            yield Transcript(text=hypothesis, is_final=False)
        yield Transcript(text=hypotheses[-1], is_final=True)


@dataclass(slots=True, kw_only=True)
class ScriptedChat:
    """Writes the same deltas to every prompt; waits at its gate before the last one."""

    name: str = "scripted"
    deltas: Sequence[str] = ("This is the answer to it. ", "And this is the second sentence.")
    error: Exception | None = None
    first_s: float = 0.0
    gate: asyncio.Event | None = None
    prompts: list[list[ChatMessage]] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    closed: int = 0

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the deltas; the error, if any, takes the place of the last."""
        self.prompts.append(list(request.messages))
        self.began.set()
        try:
            await asyncio.sleep(self.first_s)
            for delta in self.deltas[:-1]:
                yield delta
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            yield self.deltas[-1]
        finally:
            self.closed += 1


@dataclass(slots=True, kw_only=True)
class ScriptedSynthesizer:
    """Speaks every character for 50 ms, with word times; fails from a given call on."""

    name: str = "scripted"
    sample_rate_hertz: int = 24_000
    character_s: float = 0.05
    error: Exception | None = None
    fails_from: int = 0
    first_s: float = 0.0
    is_mute: bool = False
    spoken: list[str] = field(default_factory=list)
    spoken_by: list[str] = field(default_factory=list)
    voices: Sequence[Voice] = (
        Voice(voice_id="anna", display_name="Anna", language_codes=("en-US", "en-GB")),
        Voice(voice_id="wei", display_name="Wei", language_codes=("zh",)),
    )

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio text by text."""
        return clause_by_clause(
            texts,
            lambda text: self._speak_text(text, request.voice_id),
            provider=self.name,
            sample_rate_hertz=self.sample_rate_hertz,
        )

    async def _speak_text(self, text: str, voice_id: str) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of a text in two chunks."""
        self.spoken.append(text)
        self.spoken_by.append(voice_id)
        await asyncio.sleep(self.first_s)
        if self.error is not None and len(self.spoken) > self.fails_from:
            raise self.error
        if self.is_mute:
            return
        half = byte_count(len(text) * self.character_s / 2, self.sample_rate_hertz)
        yield SpeechChunk(pcm=b"\x01\x00" * (half // 2), words=self.words(text))
        yield SpeechChunk(pcm=b"\x01\x00" * (half // 2))

    def words(self, text: str) -> tuple[WordTime, ...]:
        """Return when the words of a text are heard."""
        words, start = [], 0
        for word in text.split(" "):
            end = start + len(word)
            words.append(
                WordTime(
                    start=start,
                    end=end,
                    start_s=start * self.character_s,
                    end_s=end * self.character_s,
                )
            )
            start = end + 1
        return tuple(words)


async def text_of(items: AsyncIterator[ChatItem]) -> str:
    """Return what a reply says."""
    return "".join([item async for item in items if isinstance(item, str)])


class LetterEmbedder:
    """Likens texts by the letters that they share."""

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (len(texts), 128)."""
        return np.array([self._embed(text) for text in texts], np.float32).reshape(-1, 128)

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Shape (128,)."""
        return self._embed(text)

    @staticmethod
    def _embed(text: str) -> npt.NDArray[np.float32]:
        vector = np.full(128, 1e-6, np.float32)
        for character in text.lower():
            vector[ord(character) % 128] += 1
        unit: npt.NDArray[np.float32] = vector / np.linalg.norm(vector)
        return unit


def scripted_personas(*, tutor_profile: str = "", tools: ToolsTable | None = None) -> Personas:
    """Two personas: a host in English and Chinese, perhaps with tools, and a tutor in English."""
    english = PersonaLanguage(
        language_code="en",
        voice_id="anna",
        prompt="You are a host.",
        greeting="Welcome.",
        tool_fillers=("One moment.", "Let me see."),
        sample_question="When do you open?",
        no_speech_prompt="Are you still there?",
        knowledge=(
            Fact(questions=("When do you open?",), answer="We open at nine."),
            Fact(questions=("1234567890",), answer="That is a number."),
        ),
    )
    chinese = PersonaLanguage(
        language_code="zh",
        voice_id="wei",
        prompt="你是主持人。",
        greeting="欢迎。",
        sample_question="几点开门？",
        knowledge=(),
    )
    host = Persona(
        persona_id="host",
        display_name="Host",
        description="Hosts.",
        languages=(english, chinese),
        tools=tools,
    )
    tutor = Persona(
        persona_id="tutor",
        display_name="Tutor",
        description="Teaches.",
        languages=(english,),
        profile=tutor_profile,
    )
    return Personas(by_id={"host": host, "tutor": tutor}, default_id="host")


@dataclass(slots=True, kw_only=True)
class DriveLog:
    """One Drive call as the avatar double saw it."""

    setup: avatar_pb2.DriveSetup
    traceparent: str = ""
    plays_s: float | None = None
    pcm: bytearray = field(default_factory=bytearray)
    ended_by: str = ""


class FakeAvatars(avatar_pb2_grpc.AvatarServiceServicer):
    """Plays what it gets: at once, or up to `plays_s` and then waits for an interrupt.

    What is set applies to the drives that come.
    """

    def __init__(self) -> None:
        self.drives: list[DriveLog] = []
        self.first_pcm = asyncio.Event()
        self.plays_s: float | None = None
        self.error: ServiceError | None = None
        self.fails_after_s: float | None = None
        self.cuts_off_after_s: float | None = None
        self.last_drive: avatar_pb2.LastDrive | None = None
        self.cut_off: list[str] = []
        self.gestures: list[str] = []

    async def InterruptAvatar(
        self, request: avatar_pb2.InterruptAvatarRequest, context: Any
    ) -> avatar_pb2.InterruptAvatarResponse:
        """Tell what was said last."""
        self.cut_off.append(request.avatar_id)
        return avatar_pb2.InterruptAvatarResponse(last_drive=self.last_drive)

    async def PerformAction(
        self, request: avatar_pb2.PerformActionRequest, context: Any
    ) -> avatar_pb2.PerformActionResponse:
        """Note a gesture."""
        self.gestures.append(request.action)
        return avatar_pb2.PerformActionResponse()

    async def Drive(  # type: ignore[override]  # the coroutine form
        self, requests: AsyncIterator[avatar_pb2.DriveRequest], context: Any
    ) -> None:
        """Keep the grammar of the proto."""
        setup = (await take_setup(requests)).setup
        if self.error is not None and self.fails_after_s is None:
            raise self.error
        metadata = dict(context.invocation_metadata())
        drive = DriveLog(
            setup=setup, traceparent=metadata.get("traceparent", ""), plays_s=self.plays_s
        )
        self.drives.append(drive)
        started = avatar_pb2.DriveStarted(drive_id=f"drive-{len(self.drives)}")
        await context.write(avatar_pb2.DriveResponse(drive_started=started))
        async for request in after_setup(requests):
            case = request.WhichOneof("request")
            if case == "audio":
                await self._hear(drive, request.audio.pcm, context)
                if self._sent_s(drive) >= (self.cuts_off_after_s or float("inf")):
                    drive.ended_by = "someone else"
                    break
            else:
                drive.ended_by = str(case)
                if case == "interrupt" or drive.plays_s is None:
                    break
        await context.write(self._finished(drive))

    async def _hear(self, drive: DriveLog, pcm: bytes, context: Any) -> None:
        if not drive.pcm:
            playback = avatar_pb2.DrivePlaybackStarted(method=events_pb.PLAYBACK_METHOD_CONFIRMED)
            await context.write(avatar_pb2.DriveResponse(playback_started=playback))
        drive.pcm += pcm
        self.first_pcm.set()
        if self.error is not None and self._sent_s(drive) >= (self.fails_after_s or 0.0):
            raise self.error

    def _sent_s(self, drive: DriveLog) -> float:
        return duration_s(len(drive.pcm), drive.setup.format.sample_rate_hertz)

    def _finished(self, drive: DriveLog) -> avatar_pb2.DriveResponse:
        sent_s = self._sent_s(drive)
        played_s = sent_s if drive.plays_s is None else min(sent_s, drive.plays_s)
        finished = avatar_pb2.DriveFinished(
            sent_duration=to_duration(sent_s),
            played_duration=to_duration(played_s),
            method=events_pb.PLAYBACK_METHOD_CONFIRMED,
            interrupted=drive.ended_by != "finish",
        )
        return avatar_pb2.DriveResponse(turn_id=drive.setup.turn_id, drive_finished=finished)


class FakeTasks(task_pb2_grpc.TaskServiceServicer):
    """Keeps tasks and their records in memory, by the proto's rules."""

    def __init__(self) -> None:
        self.tasks: dict[str, task_pb2.Task] = {}
        self.records: dict[str, list[events_pb.ConversationEvent]] = {}
        self.facts: dict[str, task_pb2.CallFacts] = {}
        """What is known of calls."""
        self.facts_outage: ServiceError | None = None
        """What whoever asks for them is told instead."""
        self.appended = asyncio.Condition()
        self.stops: asyncio.Queue[task_pb2.StopTaskRequest] = asyncio.Queue()
        self.failures: list[ServiceError] = []
        self.owners = Owners()
        self.outage: ServiceError | None = None
        """What replicas are told that want to be kept alive, or to hold a conversation."""
        self.noted: asyncio.Queue[str] = asyncio.Queue()
        """Tasks whose clients are there."""
        self.asked = asyncio.Event()
        """A task was looked up."""
        self.add(TASK_ID)

    def add(
        self,
        task_id: str,
        *,
        state: task_pb2.TaskState.ValueType = task_pb2.TASK_STATE_STREAMING,
        persona_id: str = "",
        language_code: str = "",
        max_idle_s: float = 120,
        max_absence_s: int = 0,
    ) -> None:
        """Put a task on air; `max_absence_s` 0 means that its client may be gone."""
        self.tasks[task_id] = task = task_pb2.Task(
            task_id=task_id,
            state=state,
            avatar_id=f"avatar-of-{task_id}",
            persona_id=persona_id,
            language_code=language_code,
        )
        task.max_idle_duration.FromTimedelta(timedelta(seconds=max_idle_s))
        if max_absence_s:
            task.max_absence.FromSeconds(max_absence_s)
        self.records[task_id] = []

    async def GetTask(
        self, request: task_pb2.GetTaskRequest, context: Any
    ) -> task_pb2.GetTaskResponse:
        """Return a task."""
        self.asked.set()
        task = self._task(request.task_id)
        if request.with_facts and self.facts_outage is not None:
            raise self.facts_outage
        facts = self.facts.get(request.task_id) if request.with_facts else None
        return task_pb2.GetTaskResponse(task=task, facts=facts)

    async def NoteClients(
        self, request: task_pb2.NoteClientsRequest, context: Any
    ) -> task_pb2.NoteClientsResponse:
        """Note that clients are there."""
        for task_id in request.task_ids:
            self.noted.put_nowait(task_id)
        return task_pb2.NoteClientsResponse()

    async def StopTask(
        self, request: task_pb2.StopTaskRequest, context: Any
    ) -> task_pb2.StopTaskResponse:
        """Take a task off air."""
        task = self._task(request.task_id)
        task.state = task_pb2.TASK_STATE_STOPPED
        self.stops.put_nowait(request)
        return task_pb2.StopTaskResponse(task=task)

    async def GetConversation(
        self, request: task_pb2.GetConversationRequest, context: Any
    ) -> task_pb2.GetConversationResponse:
        """Return turns, and events if they are asked for."""
        self._task(request.task_id)
        events = self.records[request.task_id]
        turns: dict[int, task_pb2.Turn] = {}
        for event in events:
            match event.WhichOneof("event"):
                case "turn_started":
                    started = event.turn_started
                    turns[event.turn_id] = task_pb2.Turn(
                        turn_id=event.turn_id, user_text=started.user_text
                    )
                case "reply_updated":
                    turns[event.turn_id].reply_text += event.reply_updated.delta
                case "turn_finished":
                    turns[event.turn_id].heard_text = event.turn_finished.heard_text
                    turns[event.turn_id].finish_time.CopyFrom(event.event_time)
                case "turn_failed":
                    turn = turns.setdefault(event.turn_id, task_pb2.Turn(turn_id=event.turn_id))
                    turn.heard_text = event.turn_failed.heard_text
                    turn.finish_time.CopyFrom(event.event_time)
        asked = request.HasField("after_sequence")
        later = [event for event in events if event.sequence > request.after_sequence]
        return task_pb2.GetConversationResponse(
            turns=list(turns.values()), last_sequence=len(events), events=later if asked else []
        )

    async def KeepReplica(
        self, request: task_pb2.KeepReplicaRequest, context: Any
    ) -> task_pb2.KeepReplicaResponse:
        """Keep a replica alive."""
        if self.outage is not None:
            raise self.outage
        return self.owners.keep(request)

    async def ClaimConversation(
        self, request: task_pb2.ClaimConversationRequest, context: Any
    ) -> task_pb2.ClaimConversationResponse:
        """Give a conversation to a replica."""
        self._task(request.task_id)
        if self.outage is not None:
            raise self.outage
        return self.owners.claim(request)

    async def ReleaseConversation(
        self, request: task_pb2.ReleaseConversationRequest, context: Any
    ) -> task_pb2.ReleaseConversationResponse:
        """Take a conversation back."""
        self._task(request.task_id)
        return self.owners.release(request)

    async def AppendEvents(
        self, request: task_pb2.AppendEventsRequest, context: Any
    ) -> task_pb2.AppendEventsResponse:
        """Append without gaps."""
        self._task(request.task_id)
        if self.failures:
            raise self.failures.pop(0)
        events = self.records[request.task_id]
        self.owners.check(request, events)
        for event in request.events:
            if event.sequence > len(events) + 1:
                raise ServiceError(Reason.EVENTS_OUT_OF_ORDER, "events: a gap")
            if event.sequence == len(events) + 1:
                events.append(event)
        async with self.appended:
            self.appended.notify_all()
        return task_pb2.AppendEventsResponse(last_sequence=len(events))

    async def recorded(self, kind: Any, *, task_id: str = TASK_ID, count: int = 1) -> None:
        """Wait until so many events of a kind are recorded."""
        async with self.appended:
            await self.appended.wait_for(
                lambda: sum(each.HasField(kind) for each in self.records[task_id]) >= count
            )

    def _task(self, task_id: str) -> task_pb2.Task:
        if task_id not in self.tasks:
            raise ServiceError(Reason.TASK_NOT_FOUND, "no such task")
        return self.tasks[task_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRig:
    """A speech service on scripted providers between two doubles."""

    stub: speech_pb2_grpc.SpeechServiceStub
    address: str
    neighbours_address: str
    avatars: FakeAvatars
    tasks: FakeTasks
    recognizer: ScriptedRecognizer
    chat: ScriptedChat
    synthesizer: ScriptedSynthesizer


@dataclass(slots=True, kw_only=True)
class Script:
    """What the providers of a rig do."""

    recognizer: ScriptedRecognizer = field(default_factory=ScriptedRecognizer)
    chat: ScriptedChat = field(default_factory=ScriptedChat)
    synthesizer: ScriptedSynthesizer = field(default_factory=ScriptedSynthesizer)
    provider: OpenAiRecognizer | OpenAiChatModel | OpenAiSynthesizer | None = None
    """Takes the place of the scripted one of its stage."""
    chat_price: Price | None = None
    tutor: Trio | None = None
    """Serves the tutor, by a profile of its own."""
    model: ChatModel | None = None
    """Takes the place of the scripted language model."""
    tools: ToolsTable | None = None
    rules: ListeningRules = field(default_factory=ListeningRules)
    task_check_s: float = 10.0
    task_start_s: float = 60.0
    drain_s: float = 0.0
    service_token: str | None = None
    tenants: Tenants = NO_QUOTAS


@asynccontextmanager
async def speech_rig(script: Script | None = None) -> AsyncIterator[SpeechRig]:
    """A real speech service, with real servers for what it calls."""
    script = script or Script()
    avatars = FakeAvatars()  # type: ignore[abstract]  # the rest is never called
    tasks = FakeTasks()  # type: ignore[abstract]  # the rest is never called
    async with AsyncExitStack() as stack:
        neighbours = await stack.enter_async_context(
            serving(
                _options(),
                [],
                lambda server: avatar_pb2_grpc.add_AvatarServiceServicer_to_server(avatars, server),
                lambda server: task_pb2_grpc.add_TaskServiceServicer_to_server(tasks, server),
            )
        )
        service = await stack.enter_async_context(speech_service(script, neighbours.address))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(service.address))
        yield SpeechRig(
            stub=speech_pb2_grpc.SpeechServiceStub(channel),
            address=service.address,
            neighbours_address=neighbours.address,
            avatars=avatars,
            tasks=tasks,
            recognizer=script.recognizer,
            chat=script.chat,
            synthesizer=script.synthesizer,
        )


@asynccontextmanager
async def speech_service(
    script: Script, neighbours_address: str, *, task_address: str = ""
) -> AsyncIterator[Serving]:
    """A real speech service between the doubles at an address, or with another task service."""
    recognizer: Recognizer = script.recognizer
    chat: ChatModel = script.model or script.chat
    synthesizer: Synthesizer = script.synthesizer
    match script.provider:
        case OpenAiRecognizer() as recognizer:
            pass
        case OpenAiChatModel() as chat:
            pass
        case OpenAiSynthesizer() as synthesizer:
            pass
    async with running(
        _options(script.service_token),
        providers=Providers(
            default=Trio(
                recognizer=CountedRecognizer(recognizer, None),
                chat=CountedChatModel(chat, script.chat_price),
                synthesizer=CountedSynthesizer(synthesizer, None),
            ),
            by_profile={} if script.tutor is None else {"school": script.tutor},
            embedder=LetterEmbedder(),
            listening=Listening(make_detector=LoudnessDetector, turn_end=None, rules=script.rules),
        ),
        personas=scripted_personas(
            tutor_profile="" if script.tutor is None else "school", tools=script.tools
        ),
        task_target=task_address or neighbours_address,
        avatar_target=neighbours_address,
        tenants=script.tenants,
        drain_s=script.drain_s,
        task_check_s=script.task_check_s,
        task_start_s=script.task_start_s,
    ) as service:
        yield service


@asynccontextmanager
async def replica_beside(rig: SpeechRig, script: Script | None = None) -> AsyncIterator[SpeechRig]:
    """Another replica of a rig's speech service, with providers of its own."""
    script = script or Script()
    # Its client stays until the service has come to its end.
    async with AsyncExitStack() as client, speech_service(script, rig.neighbours_address) as up:
        channel = await client.enter_async_context(grpc.aio.insecure_channel(up.address))
        yield SpeechRig(
            stub=speech_pb2_grpc.SpeechServiceStub(channel),
            address=up.address,
            neighbours_address=rig.neighbours_address,
            avatars=rig.avatars,
            tasks=rig.tasks,
            recognizer=script.recognizer,
            chat=script.chat,
            synthesizer=script.synthesizer,
        )


def _options(service_token: str | None = None) -> ServingOptions:
    tokens = (service_token,) if service_token else ()
    return ServingOptions(host="127.0.0.1", port=0, service_tokens=tokens, drain_s=0.1)


def setup(
    *,
    task_id: str = TASK_ID,
    output: pb.ReplyOutput.ValueType = pb.REPLY_OUTPUT_AVATAR,
    turn_detection: pb.TurnDetection.ValueType = pb.TURN_DETECTION_MANUAL,
    **fields: Any,
) -> pb.ConverseRequest:
    """Return the first request of a stream."""
    message = pb.ConverseSetup(
        task_id=task_id,
        output=output,
        turn_detection=turn_detection,
        **({"input_format": to_format(RATE)} | fields),
    )
    return pb.ConverseRequest(setup=message)


def audio(pcm: bytes) -> list[pb.ConverseRequest]:
    """Return audio in messages of 100 ms."""
    size = 3_200
    return [
        pb.ConverseRequest(audio=pb.ConverseAudio(pcm=pcm[at : at + size]))
        for at in range(0, len(pcm), size)
    ]


def text(words: str) -> pb.ConverseRequest:
    """Return a written question."""
    return pb.ConverseRequest(text=pb.ConverseText(text=words))


def say(
    words: str, priority: pb.SayPriority.ValueType = pb.SAY_PRIORITY_NORMAL
) -> pb.ConverseRequest:
    """Return scripted words."""
    return pb.ConverseRequest(say=pb.ConverseSay(text=words, priority=priority))


def leave(linger_s: float) -> pb.ConverseRequest:
    """Return a goodbye."""
    request = pb.ConverseRequest(leave=pb.ConverseLeave())
    request.leave.linger_duration.FromTimedelta(timedelta(seconds=linger_s))
    return request


COMMIT = pb.ConverseRequest(commit=pb.ConverseCommit())
INTERRUPT = pb.ConverseRequest(interrupt=pb.ConverseInterrupt())


class Talk:
    """One Converse stream, driven step by step."""

    def __init__(self, stub: speech_pb2_grpc.SpeechServiceStub, metadata: Metadata = ()) -> None:
        self._call = stub.Converse(metadata=metadata)
        self.ready: pb.ConverseReady | None = None
        self.events: list[events_pb.ConversationEvent] = []
        self.pcm = bytearray()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, rig: SpeechRig, first: pb.ConverseRequest | None = None, metadata: Metadata = ()
    ) -> AsyncIterator["Talk"]:
        """A stream that is ready; cancelled at the end if it is not over."""
        async with cls.on(rig.stub, first or setup(), metadata) as talk:
            yield talk

    @classmethod
    @asynccontextmanager
    async def on(
        cls,
        stub: speech_pb2_grpc.SpeechServiceStub,
        first: pb.ConverseRequest,
        metadata: Metadata = (),
    ) -> AsyncIterator["Talk"]:
        """The same, of a service by its stub."""
        talk = cls(stub, metadata)
        try:
            await talk.send(first)
            response = await talk._read()
            assert response is not None
            talk.ready = response.ready
            yield talk
        finally:
            await talk.cancel()

    async def send(self, *requests: pb.ConverseRequest) -> None:
        """Write requests."""
        for request in requests:
            await self._call.write(request)

    async def until(self, *kinds: str, count: int = 1) -> events_pb.ConversationEvent:
        """Read until so many more events of one of the kinds have come; return the last."""
        while True:
            response = await self._read()
            assert response is not None, f"the stream ended before {kinds}: {self.kinds}"
            if response.HasField("event") and response.event.WhichOneof("event") in kinds:
                count -= 1
                if not count:
                    return response.event

    async def finish(self) -> list[str]:
        """Half-close, read to the end and return the kinds of all events."""
        await self.half_close()
        return await self.read_on()

    async def half_close(self) -> None:
        """Send nothing more."""
        await self._call.done_writing()

    async def read_on(self) -> list[str]:
        """Read to the end and return the kinds of all events."""
        while await self._read() is not None:
            pass
        return self.kinds

    async def cancel(self) -> None:
        """Go away."""
        self._call.cancel()
        await self._call.code()

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events so far."""
        return [str(event.WhichOneof("event")) for event in self.events]

    def last(self, kind: str) -> Any:
        """Return the last event of a kind."""
        found = [event for event in self.events if event.WhichOneof("event") == kind]
        return getattr(found[-1], kind)

    async def _read(self) -> pb.ConverseResponse | None:
        response = await self._call.read()
        if not isinstance(response, pb.ConverseResponse):
            # Raises when the stream has ended with an error.
            if await self._call.code() is not grpc.StatusCode.OK:
                raise grpc.aio.AioRpcError(
                    await self._call.code(),
                    await self._call.initial_metadata(),
                    await self._call.trailing_metadata(),
                    details=await self._call.details(),
                )
            return None
        if response.HasField("event"):
            self.events.append(response.event)
        self.pcm += response.audio_produced.pcm
        return response


async def refusal(
    rig: SpeechRig, first: pb.ConverseRequest, *requests: pb.ConverseRequest
) -> ServiceError | None:
    """Return the error with which a stream of these requests ends, None when it ends well."""
    try:
        async with Talk.open(rig, first) as talk:
            await talk.send(*requests)
            await talk.finish()
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    return None
