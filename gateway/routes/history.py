"""The endpoints of what happens during a task: its conversation, its ledgers, its live events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.backend.catalogue import Catalogue
from gateway.backend.services import CALL_TIMEOUT_S, Backend
from gateway.backend.watching import updates
from gateway.contract.conversation_events import Event
from gateway.contract.event_wire import from_snapshot, from_task_event
from gateway.contract.events import Snapshot
from gateway.contract.fields import Position, TaskIdInPath
from gateway.contract.models import Done
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.transcript import to_text
from gateway.contract.turn_models import Conversation, LedgerAnswer
from gateway.contract.turn_wire import from_recorded_turn, from_turn
from gateway.server.drain import Drain
from gateway.server.sse import EventStream
from services.runtime.failures.reasons import Reason

STREAM_ENDED = 204
FINAL_STATES = ("STOPPED", "FAILED")

AfterSequence = Annotated[Position, Query(description="Events after this one.")]
TurnIdInPath = Annotated[int, Path(alias="turnId", ge=1, le=2**63 - 1)]


class HistoryRoutes:
    """Reports what was said during a task, and what happens in it."""

    def __init__(self, *, backend: Backend, catalogue: Catalogue, drain: Drain) -> None:
        self._backend = backend
        self._catalogue = catalogue
        self._drain = drain

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(
            prefix="/api/digital-human", tags=["tasks"], dependencies=[Depends(requires_single)]
        )
        router.get(
            "/tasks/{taskId}/conversation",
            summary="Get what was said",
            response_model=Conversation,
            response_model_exclude_none=True,
            responses={
                200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
                **failures(Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND),
            },
        )(self.get_conversation)
        router.delete(
            "/tasks/{taskId}/conversation",
            summary="Remove what was said",
            responses=failures(Reason.TASK_NOT_FOUND, Reason.TASK_NOT_ENDED),
        )(self.delete_conversation)
        router.get(
            "/tasks/{taskId}/turns/{turnId}/ledger",
            summary="Get what became of a reply",
            response_model_exclude_none=True,
            responses=failures(
                Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND, Reason.TURN_NOT_FOUND
            ),
        )(self.get_ledger)
        router.get(
            "/tasks/{taskId}/events",
            summary="Watch a task",
            response_model=None,
            responses={
                200: {"content": {EventStream.media_type: {"schema": {"type": "string"}}}},
                STREAM_ENDED: {"description": "The task is over, and nothing is new."},
                **failures(
                    Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND, Reason.SEQUENCE_OUT_OF_RANGE
                ),
            },
        )(self.watch_task)
        return router

    async def get_conversation(
        self, task_id: TaskIdInPath, format: Annotated[Literal["json", "text"], Query()] = "json"
    ) -> Response:
        """Return the turns; `format=text` downloads them as plain text."""
        found = await self._conversation(task_id)
        turns = [from_turn(turn) for turn in found.turns]
        if format == "text":
            task = await self._backend.ask(
                self._backend.task.GetTask, pb.GetTaskRequest(task_id=task_id)
            )
            return PlainTextResponse(
                to_text(turns, await self._catalogue.name_in(task.task.persona_id)),
                headers={"Content-Disposition": 'attachment; filename="transcript.txt"'},
            )
        conversation = Conversation(task_id=task_id, turns=turns, last_sequence=found.last_sequence)
        return JSONResponse(conversation.to_json())

    async def delete_conversation(self, task_id: TaskIdInPath) -> Done:
        """Remove the turns and the events of a task that has ended; what it cost stays."""
        await self._backend.ask(
            self._backend.task.DeleteConversation, pb.DeleteConversationRequest(task_id=task_id)
        )
        return Done(message="Conversation removed")

    async def get_ledger(self, task_id: TaskIdInPath, turn_id: TurnIdInPath) -> LedgerAnswer:
        """Return which text became which sound, and how much of it was heard.

        The ledger is closed with the turn: one that runs has no segments yet.
        """
        found = await self._backend.ask(
            self._backend.task.GetTurn, pb.GetTurnRequest(task_id=task_id, turn_id=turn_id)
        )
        return from_recorded_turn(task_id, found)

    async def watch_task(
        self,
        request: Request,
        task_id: TaskIdInPath,
        after: AfterSequence = None,
        last_event_id: Annotated[
            Position,
            Header(alias="Last-Event-ID", description="As `after`, and before it."),
        ] = None,
    ) -> Response:
        """Stream the task as it is, then its events as they happen, until its final state."""
        resumed = after if last_event_id is None else last_event_id
        events = self._events(task_id, resumed, request.url.path)
        async with asyncio.timeout(CALL_TIMEOUT_S):
            first = await anext(events)
        if resumed is None or not (isinstance(first, Snapshot) and _is_over(first)):
            return EventStream(first, events, drain=self._drain)
        async with asyncio.timeout(CALL_TIMEOUT_S):
            second = await anext(events, None)
        if second is None:
            # The one answer that keeps an EventSource from connecting again.
            return Response(status_code=STREAM_ENDED)
        return EventStream(first, _chain(second, events), drain=self._drain)

    async def _conversation(self, task_id: str) -> pb.GetConversationResponse:
        """Return all turns, which come in pages."""
        get = self._backend.task.GetConversation
        whole = await self._backend.ask(get, pb.GetConversationRequest(task_id=task_id))
        has_more = whole.has_more
        while has_more:
            after = whole.turns[-1].turn_id
            page = await self._backend.ask(
                get, pb.GetConversationRequest(task_id=task_id, after_turn_id=after)
            )
            whole.turns.extend(page.turns)
            has_more = page.has_more
        return whole

    async def _events(
        self, task_id: str, after: int | None, instance: str
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(updates(self._backend, task_id, after=after)) as watched:
            async for update in watched:
                if update.HasField("snapshot"):
                    yield from_snapshot(update.snapshot, is_resumed=after is not None)
                    continue
                event = from_task_event(update.event, instance=instance)
                if event is not None:
                    yield event


def _is_over(snapshot: Snapshot) -> bool:
    """Whether the task has ended, so that all its events are there or have been removed."""
    return snapshot.data.task.state in FINAL_STATES


async def _chain(first: Event, rest: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    async with aclosing(rest):
        yield first
        async for event in rest:
            yield event
