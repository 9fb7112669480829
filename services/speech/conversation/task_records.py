"""The task service as conversations see it: whose avatar speaks, and what is on record."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import structlog

from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.replicas import Replicas
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.wire import from_duration
from services.speech.conversation.facts_wire import from_call_facts
from services.speech.conversation.record import Record
from services.speech.conversation.recorded import RecordedConversation, from_record
from services.speech.dialogue.call import CallFacts
from services.speech.dialogue.replies import Exchange

log = structlog.get_logger(__name__)

TASK_ANSWER_S = 10.0
"""How long the task service may take to answer."""

LAST_WRITE_S = 10.0
"""How long the end of a conversation may take to be written."""

START_S = 65.0
"""How long a conversation waits for a task to come on air; the task service gives it up before."""

_LOOK_S = 0.25
_SOON_S = 1.0

_NO_TURNS = 2**63 - 1
"""No turn comes after this one: only events are read."""

_LATEST_EVENTS = 256
"""Among these are utterances that have become no turn yet, and requests that may be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAir:
    """What a conversation needs to know about its task; `max_idle_s` bounds its silence."""

    task_id: str
    avatar_id: str
    persona_id: str
    language_code: str
    max_idle_s: float
    needs_client: bool = False


class TaskRecords:
    """Reads tasks and opens their records."""

    def __init__(
        self,
        tasks: Replicas[TaskServiceStub],
        *,
        service_token: str | None,
        start_s: float = START_S,
    ) -> None:
        self._tasks = tasks
        self._service_token = service_token
        self._start_s = start_s

    async def until_on_air(self, task_id: str) -> OnAir:
        """Return a task as soon as it is streaming; raises ServiceError.

        A client that learns of a task before it is on air may talk at once, and is heard then.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_s
        while True:
            try:
                return await self.on_air(task_id)
            except ServiceError as error:
                if error.reason is not Reason.TASK_NOT_ON_AIR or loop.time() >= deadline:
                    raise
            await asyncio.sleep(_LOOK_S)

    async def facts(self, task_id: str) -> CallFacts:
        """Return what is known of a task's call; raises ServiceError."""
        request = pb.GetTaskRequest(task_id=task_id, with_facts=True)
        try:
            found = await self._tasks.any.GetTask(
                request, timeout=TASK_ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return from_call_facts(found.facts)

    async def said_before(self, facts: CallFacts) -> tuple[Exchange, ...]:
        """Return what was said before a call; an earlier one may have been removed since."""
        earlier: tuple[Exchange, ...] = ()
        if facts.history_task_id:
            try:
                earlier = (await self.recorded(facts.history_task_id)).exchanges
            except ServiceError as error:
                if error.reason is not Reason.TASK_NOT_FOUND:
                    raise
        return (*earlier, *facts.history)

    async def on_air(self, task_id: str) -> OnAir:
        """Return a task that is streaming; raises ServiceError for any other."""
        request = pb.GetTaskRequest(task_id=task_id)
        try:
            task = (
                await self._tasks.any.GetTask(
                    request, timeout=TASK_ANSWER_S, metadata=outgoing_metadata(self._service_token)
                )
            ).task
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        match task.state:
            case pb.TASK_STATE_STREAMING:
                return OnAir(
                    task_id=task_id,
                    avatar_id=task.avatar_id,
                    persona_id=task.persona_id,
                    language_code=task.language_code,
                    max_idle_s=from_duration(task.max_idle_duration),
                    needs_client=task.HasField("max_absence"),
                )
            case pb.TASK_STATE_CREATING | pb.TASK_STATE_STARTING:
                raise ServiceError(
                    Reason.TASK_NOT_ON_AIR,
                    "task_id: the task is not on air yet",
                    retry_after_s=_SOON_S,
                    task_id=task_id,
                )
            case _:
                raise ServiceError(
                    Reason.TASK_ENDED, "task_id: the task has ended", task_id=task_id
                )

    async def stop(self, task_id: str, reason: pb.StopReason.ValueType) -> None:
        """Take a task off air; one that cannot be stopped ends when the cloud finds it idle."""
        request = pb.StopTaskRequest(task_id=task_id, reason=reason)
        try:
            await self._tasks.any.StopTask(
                request, timeout=TASK_ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            log.warning("task not stopped", task_id=task_id, reason=from_rpc_error(error).reason)

    async def note_clients(self, task_ids: Sequence[str]) -> None:
        """Tell that the clients of tasks are there; raises ServiceError."""
        request = pb.NoteClientsRequest(task_ids=task_ids)
        try:
            await self._tasks.any.NoteClients(
                request, timeout=TASK_ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    async def recorded(self, task_id: str) -> RecordedConversation:
        """Return how far a conversation that nobody holds has come; raises ServiceError."""
        turns = await self._turns(task_id)
        latest = await self.events_after(task_id, max(0, turns.last_sequence - _LATEST_EVENTS))
        return from_record(turns, latest)

    async def events_after(self, task_id: str, sequence: int) -> Sequence[ConversationEvent]:
        """Return the recorded events after a sequence; raises ServiceError."""
        events: list[ConversationEvent] = []
        has_more = True
        while has_more:
            page = await self._conversation(
                pb.GetConversationRequest(
                    task_id=task_id, after_sequence=sequence, after_turn_id=_NO_TURNS
                )
            )
            events += page.events
            sequence = events[-1].sequence if events else sequence
            has_more = page.has_more
        return events

    @asynccontextmanager
    async def opened(self, task_id: str, *, epoch: int) -> AsyncIterator[Record]:
        """A record to write to; everything added is written before the block ends, if it can be."""
        record = Record(task_id=task_id, epoch=epoch, append=self._append)
        writing = asyncio.create_task(record.write())
        try:
            yield record
        finally:
            try:
                async with asyncio.timeout(LAST_WRITE_S):
                    await record.flush()
            except (TimeoutError, ServiceError) as error:
                log.error("record not complete", task_id=task_id, error=type(error).__name__)
            writing.cancel()
            await asyncio.wait({writing})

    async def _turns(self, task_id: str) -> pb.GetConversationResponse:
        """Return all turns."""
        whole = await self._conversation(pb.GetConversationRequest(task_id=task_id))
        has_more = whole.has_more
        while has_more:
            page = await self._conversation(
                pb.GetConversationRequest(task_id=task_id, after_turn_id=whole.turns[-1].turn_id)
            )
            whole.turns.extend(page.turns)
            has_more = page.has_more
        return whole

    async def _conversation(self, request: pb.GetConversationRequest) -> pb.GetConversationResponse:
        try:
            return await self._tasks.any.GetConversation(
                request, timeout=TASK_ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    async def _append(self, request: pb.AppendEventsRequest) -> None:
        try:
            await self._tasks.any.AppendEvents(
                request, timeout=TASK_ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
