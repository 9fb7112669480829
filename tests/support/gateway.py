"""A gateway on real sockets, over scripted services that keep the protos' contracts in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, TypeAlias

import grpc
import httpx
from fastapi import FastAPI
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.access.v1.access_pb2_grpc import add_AccessServiceServicer_to_server
from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.avatar.v1.avatar_pb2_grpc import (
    AvatarServiceServicer,
    add_AvatarServiceServicer_to_server,
)
from digitalhuman.conversation.v1 import conversation_pb2 as conversation_pb
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.speech.v1.speech_pb2_grpc import (
    SpeechServiceServicer,
    add_SpeechServiceServicer_to_server,
)
from digitalhuman.task.v1 import task_pb2
from digitalhuman.task.v1.task_pb2_grpc import (
    TaskServiceServicer,
    add_TaskServiceServicer_to_server,
)
from gateway.access.authenticator import Users
from gateway.app import GatewayOptions, create_app
from gateway.backend.services import Targets, connecting
from gateway.decoding.decoder import decoding
from gateway.middleware.access import AccessRules
from gateway.middleware.concurrency import Ceiling
from gateway.server.drain import Drain
from gateway.server.limits import ConnectionLimits
from gateway.server.serving import serving as serving_http
from services.runtime.caller import Caller, current_caller
from services.runtime.errors import ServiceError, to_status
from services.runtime.names import in_cloud
from services.runtime.reasons import Reason
from services.runtime.serving import ServingOptions, serving
from services.task.access.servicer import AccessServicer
from services.task.tasks import Task
from tests.support.credentials import MemoryCredentials

SERVICES = (
    "digitalhuman.task.v1.TaskService",
    "digitalhuman.speech.v1.SpeechService",
    "digitalhuman.avatar.v1.AvatarService",
)
SERVICE_TOKEN = "the-service-token"
LANGUAGES = ("en", "zh")
SAMPLE_QUESTIONS = {"en": "When do you open?", "zh": "你们几点开门？"}
REPLY = "We open at nine. We close at six."
SENTENCES = ("We open at nine.", " We close at six.")
FINAL_STATES = (task_pb2.TASK_STATE_STOPPED, task_pb2.TASK_STATE_FAILED)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(slots=True)
class Script:
    """What the services do otherwise than usual."""

    errors: dict[str, ServiceError] = field(default_factory=dict)
    """By RPC name: fail so."""
    is_on_air_at_once: bool = True
    turn_failure: ServiceError | None = None
    turn_break: ServiceError | None = None
    """How the stream of a turn that has begun ends."""
    sent_on: int = 0
    """How many streams are accepted and then sent on, before anything that follows is taken."""
    is_silent: bool = False
    """Whether input leads to no turn."""
    hold_reply: asyncio.Event | None = None
    """When set, a reply goes no further than its first words before the event."""

    def check(self, rpc: str) -> None:
        """Raise the error that is scripted for an RPC."""
        if rpc in self.errors:
            raise self.errors[rpc]


class ScriptedTasks(TaskServiceServicer):
    """Keeps tasks in memory and notifies their watchers."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.tasks: dict[str, task_pb2.Task] = {}
        self.creates: list[task_pb2.CreateTaskRequest] = []
        self.stops: list[task_pb2.StopTaskRequest] = []
        self.deleted: list[str] = []
        self.refreshed: list[str] = []
        self.claimed: list[str] = []
        self.updates: list[task_pb2.UpdateTaskRequest] = []
        self.turns: list[task_pb2.Turn] = []
        self.segments: dict[int, list[conversation_pb.LedgerSegment]] = {}
        self.watchers = 0
        self.tenants: dict[str, str] = {}
        """By task."""
        self.callers: list[Caller] = []
        """Who asked for tasks to be created."""
        self.stuck: set[str] = set()
        """Tasks that cannot be stopped."""
        self._by_request: dict[str, str] = {}
        self._events: dict[str, list[task_pb2.TaskEvent]] = {}
        self._changed = asyncio.Condition()

    async def until(self, condition: Any) -> None:
        """Return when a condition on this object holds."""
        async with self._changed, asyncio.timeout(10):
            await self._changed.wait_for(lambda: condition(self))

    async def move(self, task_id: str, state: Any, **fields: Any) -> None:
        """Change a task's state and notify the watchers."""
        task = self.tasks[task_id]
        task.state = state
        task.MergeFrom(task_pb2.Task(**fields))
        changed = task_pb2.TaskStateChanged()
        changed.task.CopyFrom(task)
        await self.tell(task_id, state_changed=changed)

    async def tell(self, task_id: str, **event: Any) -> None:
        """Append an event to a task's log."""
        events = self._events[task_id]
        events.append(task_pb2.TaskEvent(sequence=len(events) + 1, event_time=_now(), **event))
        await self._notify()

    def _is_callers(self, task: task_pb2.Task) -> bool:
        caller = current_caller()
        is_of_tenant = self.tenants[task.task_id] == caller.tenant_id
        return is_of_tenant and caller.user_id in ("", task.user_id)

    async def find_task(self, task_id: str) -> Task:
        """Return a task of the current caller as the task service has it."""
        found = self._find(task_id)
        return Task(
            task_id=task_id,
            room_id=found.room_id,
            stream_id=found.stream_id,
            user_id=found.user_id,
            max_duration=timedelta(seconds=1),
            max_idle_duration=timedelta(seconds=1),
            create_time=datetime.now(UTC),
        )

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _find(self, task_id: str) -> task_pb2.Task:
        task = self.tasks.get(task_id)
        if task is None or not self._is_callers(task):
            raise ServiceError(Reason.TASK_NOT_FOUND, "There is no such task.", task_id=task_id)
        return task

    async def UpdateTask(
        self, request: task_pb2.UpdateTaskRequest, context: Context
    ) -> task_pb2.UpdateTaskResponse:
        self.script.check("UpdateTask")
        task = self._find(request.task_id)
        self.updates.append(request)
        return task_pb2.UpdateTaskResponse(task=task)

    async def CreateTask(
        self, request: task_pb2.CreateTaskRequest, context: Context
    ) -> task_pb2.CreateTaskResponse:
        self.script.check("CreateTask")
        self.creates.append(request)
        caller = current_caller()
        self.callers.append(caller)
        room_id = in_cloud(request.room_id, caller, field="room_id")
        stream_id = in_cloud(request.stream_id, caller, field="stream_id")
        if request.request_id in self._by_request:
            task = self.tasks[self._by_request[request.request_id]]
            if task.stream_id != stream_id:
                raise ServiceError(Reason.REQUEST_ID_REUSED, "The request id was used before.")
            return task_pb2.CreateTaskResponse(task=task, replayed=True)
        running = (each for each in self.tasks.values() if each.state not in FINAL_STATES)
        if any(each.stream_id == stream_id for each in running):
            raise ServiceError(Reason.STREAM_IN_USE, "The stream id belongs to a running task.")
        task_id = f"task_{len(self.tasks) + 1:026d}"
        self.tasks[task_id] = task_pb2.Task(
            task_id=task_id,
            state=task_pb2.TASK_STATE_STARTING,
            room_id=room_id,
            stream_id=stream_id,
            digital_human_id=request.digital_human_id or "parley_mia",
            persona_id=request.persona_id,
            language_code=request.language_code or "en",
            user_id=request.user_id,
            background_color=request.background_color or "#000000",
            avatar_id=f"avatar-{len(self.tasks) + 1}",
            max_duration=_or_seconds(request, "max_duration", 1800),
            max_idle_duration=_or_seconds(request, "max_idle_duration", 120),
            create_time=_now(),
        )
        self._events[task_id] = []
        self.tenants[task_id] = caller.tenant_id
        if request.request_id:
            self._by_request[request.request_id] = task_id
        created = task_pb2.CreateTaskResponse()
        created.task.CopyFrom(self.tasks[task_id])
        if self.script.is_on_air_at_once:
            await self.move(task_id, task_pb2.TASK_STATE_STREAMING, start_time=_now())
        return created

    async def FindCreatedTask(
        self, request: task_pb2.FindCreatedTaskRequest, context: Context
    ) -> task_pb2.FindCreatedTaskResponse:
        self.script.check("FindCreatedTask")
        order = request.request
        task = self.tasks.get(self._by_request.get(order.request_id, ""))
        if task is None:
            raise ServiceError(Reason.TASK_NOT_FOUND, "No task was made by this request.")
        if task.stream_id != in_cloud(order.stream_id, current_caller(), field="stream_id"):
            raise ServiceError(Reason.REQUEST_ID_REUSED, "The request id was used before.")
        return task_pb2.FindCreatedTaskResponse(task=task)

    async def GetTask(
        self, request: task_pb2.GetTaskRequest, context: Context
    ) -> task_pb2.GetTaskResponse:
        self.script.check("GetTask")
        return task_pb2.GetTaskResponse(task=self._find(request.task_id))

    async def EraseUser(
        self, request: task_pb2.EraseUserRequest, context: Context
    ) -> task_pb2.EraseUserResponse:
        self.script.check("EraseUser")
        theirs = [each for each in self.tasks.values() if each.user_id == request.user_id]
        for task in theirs:
            del self.tasks[task.task_id]
        return task_pb2.EraseUserResponse(tasks=len(theirs))

    async def ListUsage(
        self, request: task_pb2.ListUsageRequest, context: Context
    ) -> task_pb2.ListUsageResponse:
        self.script.check("ListUsage")
        return task_pb2.ListUsageResponse()

    async def ListTasks(
        self, request: task_pb2.ListTasksRequest, context: Context
    ) -> task_pb2.ListTasksResponse:
        self.script.check("ListTasks")
        found = [
            task
            for task in reversed(self.tasks.values())
            if self._is_callers(task)
            and (not request.states or task.state in request.states)
            and request.user_id in ("", task.user_id)
        ]
        at = int(request.page_token or 0)
        size = request.page_size or 50
        more = str(at + size) if at + size < len(found) else ""
        return task_pb2.ListTasksResponse(tasks=found[at : at + size], next_page_token=more)

    async def StopTask(
        self, request: task_pb2.StopTaskRequest, context: Context
    ) -> task_pb2.StopTaskResponse:
        self.script.check("StopTask")
        task = self._find(request.task_id)
        if request.task_id in self.stuck:
            raise ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The cloud does not answer.")
        self.stops.append(request)
        is_replayed = task.state in FINAL_STATES
        if not is_replayed:
            await self.move(
                request.task_id,
                task_pb2.TASK_STATE_STOPPED,
                stop_time=_now(),
                stop_reason=request.reason or task_pb2.STOP_REASON_REQUESTED,
                usage=task_pb2.Usage(billable_seconds=1),
            )
        await self._notify()
        return task_pb2.StopTaskResponse(task=task, replayed=is_replayed)

    async def WatchTask(
        self, request: task_pb2.WatchTaskRequest, context: Context
    ) -> AsyncIterator[task_pb2.WatchTaskResponse]:
        self.script.check("WatchTask")
        task = self._find(request.task_id)
        events = self._events[request.task_id]
        at = request.after_sequence if request.HasField("after_sequence") else len(events)
        if at > len(events):
            raise ServiceError(Reason.SEQUENCE_OUT_OF_RANGE, "after_sequence: is in the future")
        snapshot = task_pb2.TaskSnapshot(task=task, last_sequence=len(events))
        is_over = task.state in FINAL_STATES
        self.watchers += 1
        await self._notify()
        try:
            yield task_pb2.WatchTaskResponse(snapshot=snapshot)
            while True:
                for event in events[at:]:
                    at = event.sequence
                    yield task_pb2.WatchTaskResponse(event=event)
                    is_over = is_over or event.state_changed.task.state in FINAL_STATES
                if is_over:
                    return
                async with self._changed:
                    await self._changed.wait_for(partial(_has_more, events, at))
        finally:
            self.watchers -= 1
            await self._notify()

    async def ClaimTask(
        self, request: task_pb2.ClaimTaskRequest, context: Context
    ) -> task_pb2.ClaimTaskResponse:
        self.script.check("ClaimTask")
        async with self._changed:
            self.claimed.append(request.task_id)
            self._changed.notify_all()
        return task_pb2.ClaimTaskResponse(task=self._find(request.task_id))

    async def RefreshTask(
        self, request: task_pb2.RefreshTaskRequest, context: Context
    ) -> task_pb2.RefreshTaskResponse:
        self.script.check("RefreshTask")
        self.refreshed.append(request.avatar_id)
        for task in self.tasks.values():
            if task.avatar_id == request.avatar_id:
                return task_pb2.RefreshTaskResponse(task=task)
        raise ServiceError(Reason.TASK_NOT_FOUND, "There is no such task.")

    async def GetConversation(
        self, request: task_pb2.GetConversationRequest, context: Context
    ) -> task_pb2.GetConversationResponse:
        self.script.check("GetConversation")
        self._find(request.task_id)
        return task_pb2.GetConversationResponse(turns=self.turns, last_sequence=7)

    async def DeleteConversation(
        self, request: task_pb2.DeleteConversationRequest, context: Context
    ) -> task_pb2.DeleteConversationResponse:
        self.script.check("DeleteConversation")
        self._find(request.task_id)
        self.deleted.append(request.task_id)
        return task_pb2.DeleteConversationResponse()

    async def GetTurn(
        self, request: task_pb2.GetTurnRequest, context: Context
    ) -> task_pb2.GetTurnResponse:
        self.script.check("GetTurn")
        self._find(request.task_id)
        for turn in self.turns:
            if turn.turn_id == request.turn_id:
                return task_pb2.GetTurnResponse(
                    turn=turn, segments=self.segments.get(turn.turn_id, ())
                )
        raise ServiceError(Reason.TURN_NOT_FOUND, "turn_id: the task has no such turn")


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
            ),
            speech_pb2.Persona(
                persona_id="mute", language_codes=["en"], digital_human_id="parley_yuna"
            ),
        ]
        self._sequence = 0
        self._taken = asyncio.Condition()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when a condition on what was asked and heard holds."""
        async with self._taken, asyncio.timeout(20):
            await self._taken.wait_for(condition)

    async def _note(self) -> None:
        async with self._taken:
            self._taken.notify_all()

    async def Converse(
        self, requests: AsyncIterator[speech_pb2.ConverseRequest], context: Context
    ) -> AsyncIterator[speech_pb2.ConverseResponse]:
        self.script.check("Converse")
        try:
            async for response in self._converse(requests):
                yield response
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    async def _converse(
        self, requests: AsyncIterator[speech_pb2.ConverseRequest]
    ) -> AsyncIterator[speech_pb2.ConverseResponse]:
        setup = (await anext(aiter(requests))).setup
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
                anchor_time=_now(),
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
                sequence=self._sequence, event_time=_now(), turn_id=1, **event
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


class ScriptedAvatars(AvatarServiceServicer):
    """Makes tokens and takes callbacks; where to watch is up to the test."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.playback = avatar_pb2.Playback(
            protocol=avatar_pb2.PLAYBACK_PROTOCOL_WHEP, url="http://127.0.0.1:9/whep/s"
        )
        self.people = [
            avatar_pb2.DigitalHuman(
                digital_human_id="parley_mia", display_name="Mia", actions=["nod"]
            )
        ]
        self.has_more = False
        """Whether the list of people never ends."""
        self.actions: list[avatar_pb2.PerformActionRequest] = []
        self.tokens: list[avatar_pb2.CreateViewerTokenRequest] = []
        self.token_life = timedelta(minutes=10)

    async def CreateViewerToken(
        self, request: avatar_pb2.CreateViewerTokenRequest, context: Context
    ) -> avatar_pb2.CreateViewerTokenResponse:
        self.script.check("CreateViewerToken")
        self.tokens.append(request)
        created = avatar_pb2.CreateViewerTokenResponse(
            token="04token", app_id=1234567890, playback=self.playback
        )
        created.expire_time.FromDatetime(datetime.now(UTC) + self.token_life)
        return created

    async def PerformAction(
        self, request: avatar_pb2.PerformActionRequest, context: Context
    ) -> avatar_pb2.PerformActionResponse:
        self.script.check("PerformAction")
        self.actions.append(request)
        return avatar_pb2.PerformActionResponse()

    async def ListDigitalHumans(
        self, request: avatar_pb2.ListDigitalHumansRequest, context: Context
    ) -> avatar_pb2.ListDigitalHumansResponse:
        self.script.check("ListDigitalHumans")
        return avatar_pb2.ListDigitalHumansResponse(
            digital_humans=self.people, next_page_token="1" if self.has_more else ""
        )

    async def HandleCallback(
        self, request: avatar_pb2.HandleCallbackRequest, context: Context
    ) -> avatar_pb2.HandleCallbackResponse:
        self.script.check("HandleCallback")
        told = json.loads(request.body)
        if told.get("Signature") != "good":
            raise ServiceError(Reason.CALLBACK_INVALID, "The signature does not fit.")
        return avatar_pb2.HandleCallbackResponse(
            avatar_id=told["TaskId"], avatar_state=told.get("Status", 0)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGateway:
    """A gateway that serves, a client of it, and the services behind."""

    url: str
    client: httpx.AsyncClient
    script: Script
    tasks: ScriptedTasks
    speech: ScriptedSpeech
    avatars: ScriptedAvatars
    stop_services: Callable[[], Awaitable[None]]
    services_address: str
    app: FastAPI

    async def create(self, stream_id: str = "stream_1", **members: Any) -> str:
        """Put a task on air, that greets nobody; gives its id."""
        answer = await self.client.post(
            "/api/digital-human/create-task",
            json={"roomId": "room_1", "streamId": stream_id, "greeting": "", **members},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["taskId"])


@asynccontextmanager
async def running_gateway(
    *,
    keys: tuple[str, ...] = (),
    is_closed: bool = False,
    origins: tuple[str, ...] = (),
    hosts: frozenset[str] = frozenset(),
    requests_per_second: float = 1000.0,
    ceilings: dict[str, Ceiling] | None = None,
    task_target: str = "",
    speech_target: str = "",
    users: Users | None = None,
    drain: Drain | None = None,
    limits: ConnectionLimits | None = None,
    **options: Any,
) -> AsyncIterator[RunningGateway]:
    """Serve a gateway over scripted services, or over others at the targets."""
    script = Script()
    # The RPCs that the gateway never calls stay abstract for the type checker only.
    tasks = ScriptedTasks(script)  # type: ignore[abstract]
    speech = ScriptedSpeech(script, tasks)  # type: ignore[abstract]
    avatars = ScriptedAvatars(script)  # type: ignore[abstract]

    access = AccessServicer(
        credentials=MemoryCredentials(),
        find_task=tasks.find_task,
        clock=lambda: datetime.now(UTC),
    )

    def register(server: grpc.aio.Server) -> None:
        add_AccessServiceServicer_to_server(access, server)
        add_TaskServiceServicer_to_server(tasks, server)
        add_SpeechServiceServicer_to_server(speech, server)
        add_AvatarServiceServicer_to_server(avatars, server)

    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(AsyncExitStack())
        behind = await services.enter_async_context(
            serving(
                ServingOptions(
                    host="127.0.0.1", port=0, service_tokens=(SERVICE_TOKEN,), drain_s=0
                ),
                SERVICES,
                register,
            )
        )
        targets = Targets(
            task=task_target or behind.address,
            speech=speech_target or behind.address,
            avatar=behind.address,
        )
        backend = await stack.enter_async_context(connecting(targets, service_token=SERVICE_TOKEN))
        rules = AccessRules(
            is_open=not keys and not is_closed,
            origins=origins,
            hosts=hosts,
            requests_per_second=requests_per_second,
            **(ceilings or {}),
        )
        chosen = GatewayOptions(access=rules, keys=keys, **options)
        decoder = await stack.enter_async_context(decoding(chosen.audio))
        app = create_app(backend=backend, decoder=decoder, options=chosen, users=users, drain=drain)
        url = await stack.enter_async_context(
            serving_http(app, host="127.0.0.1", port=0, drain=drain, limits=limits)
        )
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        yield RunningGateway(
            url=url,
            client=client,
            script=script,
            tasks=tasks,
            speech=speech,
            avatars=avatars,
            stop_services=services.aclose,
            services_address=behind.address,
            app=app,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One server-sent event as a client sees it."""

    name: str
    data: dict[str, Any]
    id: str | None


async def read_events(response: httpx.Response) -> AsyncIterator[Told]:
    """Yield the events of an event stream."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Told(name=fields["event"], data=json.loads(fields["data"]), id=fields.get("id"))
            fields = {}


def _now() -> Timestamp:
    moment = Timestamp()
    moment.GetCurrentTime()
    return moment


def _span(milliseconds: int) -> Duration:
    span = Duration()
    span.FromMilliseconds(milliseconds)
    return span


def _has_more(events: list[task_pb2.TaskEvent], seen: int) -> bool:
    return len(events) > seen


def _or_seconds(
    request: task_pb2.CreateTaskRequest,
    name: Literal["max_duration", "max_idle_duration"],
    seconds: int,
) -> Duration:
    given: Duration = getattr(request, name)
    return given if request.HasField(name) else Duration(seconds=seconds)
