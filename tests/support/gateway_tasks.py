"""The task service behind a gateway under test."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from google.protobuf.duration_pb2 import Duration

from digitalhuman.conversation.v1 import conversation_pb2 as conversation_pb
from digitalhuman.task.v1 import task_pb2
from digitalhuman.task.v1.task_pb2_grpc import (
    TaskServiceServicer,
)
from services.runtime.callers.caller import Caller, current_caller
from services.runtime.callers.names import in_cloud
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import Task
from tests.support.gateway_script import FINAL_STATES, Context, Script, now


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
        self.facts: task_pb2.CallFacts | None = None
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
        async with self._changed, asyncio.timeout(60):
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
        events.append(task_pb2.TaskEvent(sequence=len(events) + 1, event_time=now(), **event))
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
            create_time=now(),
        )
        self._events[task_id] = []
        self.tenants[task_id] = caller.tenant_id
        if request.request_id:
            self._by_request[request.request_id] = task_id
        created = task_pb2.CreateTaskResponse()
        created.task.CopyFrom(self.tasks[task_id])
        if self.script.is_on_air_at_once:
            await self.move(task_id, task_pb2.TASK_STATE_STREAMING, start_time=now())
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
        task = self._find(request.task_id)
        facts = self.facts if request.with_facts else None
        return task_pb2.GetTaskResponse(task=task, facts=facts)

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
                stop_time=now(),
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


def _has_more(events: list[task_pb2.TaskEvent], seen: int) -> bool:
    return len(events) > seen


def _or_seconds(
    request: task_pb2.CreateTaskRequest,
    name: Literal["max_duration", "max_idle_duration"],
    seconds: int,
) -> Duration:
    given: Duration = getattr(request, name)
    return given if request.HasField(name) else Duration(seconds=seconds)
