"""The task service as conversations see it: whose avatar speaks, and the record of what is said."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import structlog

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc
from services.runtime.batches import batches
from services.runtime.errors import ServiceError, from_rpc_error
from services.runtime.reasons import RULES, Reason
from services.runtime.requests import outgoing_metadata
from services.speech.conversation.abandoned import Abandoned, sentences_of
from services.speech.conversation.event_log import CLOSING
from services.speech.dialogue.replies import Exchange

log = structlog.get_logger(__name__)

ANSWER_S = 10.0
BATCH_S = 0.3
BATCH_EVENTS = 200
WAITING_EVENTS = 10_000
"""What may wait for a task service that does not answer; beyond it the conversation fails."""

RETRY_S = (0.1, 0.3, 1.0, 2.0, 5.0)
"""Pauses between attempts to write; the last one is repeated."""

CLOSE_S = 10.0

START_S = 65.0
"""How long a conversation waits for a task to come on air; the task service gives it up before."""

_LOOK_S = 0.25
_SOON_S = 1.0

Append: TypeAlias = Callable[[pb.AppendEventsRequest], Awaitable[None]]

_NO_TURNS = 2**63 - 1
"""No turn comes after this one: what is read are events alone."""

_LATEST_EVENTS = 256
"""Where the end of an utterance is found that has become no turn yet, and what may come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAir:
    """What a conversation needs to know of its task."""

    task_id: str
    avatar_id: str
    persona_id: str
    language_code: str
    max_idle_s: float
    """How long nobody may talk with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How far a task's conversation has come; `exchanges` are those of turns that are over."""

    exchanges: tuple[Exchange, ...]
    last_sequence: int
    last_turn_id: int
    abandoned: tuple[Abandoned, ...]
    request_ids: tuple[str, ...]
    """Of the latest turns: what is sent again under one of these has been taken."""


class TaskRecords:
    """Reads tasks and opens their records."""

    def __init__(
        self,
        stub: task_pb2_grpc.TaskServiceStub,
        *,
        service_token: str | None,
        start_s: float = START_S,
    ) -> None:
        self._stub = stub
        self._service_token = service_token
        self._start_s = start_s

    async def until_on_air(self, task_id: str) -> OnAir:
        """Return a task when it is streaming, one that still starts as well; raises ServiceError.

        Whoever learns of a task before it is on air may talk at once, and is heard then.
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

    async def on_air(self, task_id: str) -> OnAir:
        """Return a task that is streaming; raises ServiceError for any other."""
        request = pb.GetTaskRequest(task_id=task_id)
        try:
            task = (
                await self._stub.GetTask(
                    request, timeout=ANSWER_S, metadata=outgoing_metadata(self._service_token)
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
                    max_idle_s=task.max_idle_duration.ToTimedelta().total_seconds(),
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
        """Take a task off air; one that cannot be is left to the cloud's own idle end."""
        request = pb.StopTaskRequest(task_id=task_id, reason=reason)
        try:
            await self._stub.StopTask(
                request, timeout=ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            log.warning("task not stopped", task_id=task_id, reason=from_rpc_error(error).reason)

    async def past(self, task_id: str) -> Past:
        """Return how far a conversation that nobody holds has come; raises ServiceError."""
        response = await self._turns(task_id)
        latest = await self.events_after(task_id, max(0, response.last_sequence - _LATEST_EVENTS))
        abandoned = [
            Abandoned(
                turn_id=turn.turn_id,
                user_text=turn.user_text,
                reply_text=turn.reply_text,
                language_code=turn.language_code,
                sentences=sentences_of(turn.turn_id, latest),
            )
            for turn in response.turns
            if not turn.HasField("finish_time")
        ]
        last_turn_id = max((turn.turn_id for turn in response.turns), default=0)
        # The words of these were still being recognised.
        is_awaited: dict[int, bool] = {}
        for each in latest:
            if each.turn_id > last_turn_id and each.HasField("speech_ended"):
                is_awaited[each.turn_id] = True
            elif each.turn_id in is_awaited and each.HasField("speech_dismissed"):
                is_awaited[each.turn_id] = False
        for turn_id in sorted(is_awaited):
            if is_awaited[turn_id]:
                abandoned.append(Abandoned(turn_id=turn_id))
            last_turn_id = turn_id
        return Past(
            exchanges=tuple(
                Exchange(user_text=turn.user_text, heard_text=turn.heard_text)
                for turn in response.turns
                if turn.HasField("finish_time")
            ),
            last_sequence=response.last_sequence,
            last_turn_id=last_turn_id,
            abandoned=tuple(abandoned),
            request_ids=tuple(filter(None, (each.turn_started.request_id for each in latest))),
        )

    async def events_after(
        self, task_id: str, sequence: int
    ) -> Sequence[conversation_pb2.ConversationEvent]:
        """Return the recorded events after a sequence; raises ServiceError."""
        events: list[conversation_pb2.ConversationEvent] = []
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
    async def opened(self, task_id: str) -> AsyncIterator["Record"]:
        """A record to write to; everything added is written before the block ends, if it can be."""
        record = Record(task_id=task_id, append=self._append)
        writing = asyncio.create_task(record.write())
        try:
            yield record
        finally:
            try:
                async with asyncio.timeout(CLOSE_S):
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
            return await self._stub.GetConversation(
                request, timeout=ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    async def _append(self, request: pb.AppendEventsRequest) -> None:
        try:
            await self._stub.AppendEvents(
                request, timeout=ANSWER_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None


class Record:
    """Writes a conversation's events in order, in batches, from one task."""

    def __init__(self, *, task_id: str, append: Append) -> None:
        self._task_id = task_id
        self._append = append
        self._waiting: deque[conversation_pb2.ConversationEvent] = deque()
        self._added = asyncio.Event()
        self._hurry = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._lost: ServiceError | None = None
        self._on_written: Callable[[int], None] = lambda sequence: None
        self._on_lost: Callable[[ServiceError], None] = lambda error: None

    def when_written(self, call: Callable[[int], None]) -> None:
        """Have someone told up to which event all is written."""
        self._on_written = call

    def when_lost(self, call: Callable[[ServiceError], None]) -> None:
        """Have someone told that nothing more will be written."""
        self._on_lost = call

    def add(self, event: conversation_pb2.ConversationEvent) -> None:
        """Take an event; it is written within a moment, at once when it ends a turn."""
        if self._lost is not None:
            return
        if len(self._waiting) >= WAITING_EVENTS:
            self._lose(ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The record cannot be written."))
            return
        self._waiting.append(event)
        self._written.clear()
        self._added.set()
        if event.WhichOneof("event") in CLOSING:
            self._hurry.set()

    async def flush(self) -> None:
        """Wait until all that was added is written; raises ServiceError when it never will be."""
        self._hurry.set()
        await self._written.wait()
        if self._lost is not None:
            raise self._lost

    async def write(self) -> None:
        """Write what is added until cancelled or lost."""
        while self._lost is None:
            await self._added.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_S):
                    await self._hurry.wait()
            self._hurry.clear()
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        failures = 0
        while self._waiting and self._lost is None:
            batch = next(batches(self._waiting, most=BATCH_EVENTS))
            try:
                await self._append(pb.AppendEventsRequest(task_id=self._task_id, events=batch))
            except ServiceError as error:
                if not RULES[error.reason].is_passing:
                    self._lose(error)
                    return
                pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                failures += 1
                log.warning("record not written yet", task_id=self._task_id, reason=error.reason)
                await asyncio.sleep(pause_s)
            else:
                failures = 0
                for _ in batch:
                    self._waiting.popleft()
                self._on_written(batch[-1].sequence)
        self._added.clear()
        self._written.set()

    def _lose(self, error: ServiceError) -> None:
        log.error("record lost", task_id=self._task_id, reason=error.reason)
        self._lost = error
        self._waiting.clear()
        self._written.set()
        self._on_lost(error)
