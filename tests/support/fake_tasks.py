"""The task service as conversations need it."""

import asyncio
from datetime import timedelta
from typing import Any

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.task.v1 import task_pb2, task_pb2_grpc
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.owners import Owners

TASK_ID = "task_a"


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
