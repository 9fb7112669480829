"""The endpoints of a task's life: create, look, listen, stop."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.background import BackgroundTask

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.backend import creation
from gateway.backend.casting import Casting
from gateway.backend.catalogue import Catalogue
from gateway.backend.creation import CLAIM_MARGIN_S
from gateway.backend.services import CALL_TIMEOUT_S, Backend
from gateway.backend.watching import updates
from gateway.contract.bodies import CreateTaskBody, TaskBody
from gateway.contract.constraints import constraints
from gateway.contract.content_type import requires_json
from gateway.contract.events import Event, of_snapshot, of_task
from gateway.contract.models import (
    TASK_STATES,
    Conversation,
    LedgerAnswer,
    StopAnswer,
    TaskAnswer,
    TaskList,
)
from gateway.contract.openapi import failures
from gateway.contract.preferences import APPLIED, CreateAnswer, Prefer, prefers_early
from gateway.contract.transcript import to_text
from gateway.contract.wire import to_ledger_answer, to_stop_answer, to_task, to_task_answer, to_turn
from gateway.server.disconnection import unless_gone
from gateway.server.drain import Drain
from gateway.server.sse import EventStream
from services.runtime.reasons import Reason

log = structlog.get_logger(__name__)

PREFIX = "/api/digital-human"
MAX_KEY_LENGTH = 255
STREAM_ENDED = 204
FINAL_STATES = ("STOPPED", "FAILED")

Sequence = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="Events after this one.")]
TaskIdInPath = Annotated[str, Path(alias="taskId")]
TurnIdInPath = Annotated[int, Path(alias="turnId", ge=1, le=2**63 - 1)]
State = Literal[TASK_STATES]  # type: ignore[valid-type]  # one tuple for all uses


def task_routes(
    *,
    backend: Backend,
    catalogue: Catalogue,
    create_timeout_s: float,
    create_answer: CreateAnswer,
    drain: Drain,
) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix=PREFIX, tags=["tasks"])
    casting = Casting(backend, catalogue)
    json_only = Depends(requires_json)

    @router.post(
        "/create-task",
        summary="Put a digital human on air",
        response_model=TaskAnswer,
        response_model_exclude_none=True,
        dependencies=[json_only],
        responses={
            202: {"model": TaskAnswer, "description": "Ordered, with `Prefer: respond-async`."},
            **failures(
                Reason.INVALID_REQUEST,
                Reason.MALFORMED_MESSAGE,
                Reason.MEDIA_TYPE_UNSUPPORTED,
                Reason.PAYLOAD_TOO_LARGE,
                Reason.PERSONA_NOT_FOUND,
                Reason.LANGUAGE_UNSUPPORTED,
                Reason.STREAM_IN_USE,
                Reason.REQUEST_ID_REUSED,
                Reason.DIGITAL_HUMAN_NOT_FOUND,
                Reason.QUOTA_EXCEEDED,
                Reason.AVATAR_CAPACITY_EXCEEDED,
                Reason.AVATAR_START_FAILED,
                Reason.CLOUD_BUSY,
                Reason.DEADLINE_EXCEEDED,
            ),
        },
    )
    async def create_task(
        request: Request,
        body: CreateTaskBody,
        idempotency_key: Annotated[
            str,
            Header(
                alias="Idempotency-Key",
                max_length=MAX_KEY_LENGTH,
                description="Makes a repeated call safe, 24 hours.",
            ),
        ] = "",
        prefer: Prefer = None,
    ) -> Response:
        """Answer once the digital human is on air, or when it is ordered.

        What could never talk is refused before anything is ordered: an unknown persona, a language
        that it does not speak, an unknown digital human.

        A client that leaves before the answer, or a deadline that passes, stops the task.
        """
        order = creation.order(
            body, idempotency_key, claim_timeout_s=create_timeout_s + CLAIM_MARGIN_S
        )
        task = await casting.order(order)
        # After the answer is sent: nobody would stop a task whose creator was never answered.
        claim = BackgroundTask(creation.claim, backend, task.task_id)
        is_early = prefers_early(prefer)
        location = {"Location": f"{PREFIX}/tasks/{task.task_id}"}
        if is_early:
            return _answer(task, status=202, headers=location | APPLIED, afterwards=claim)
        if is_early is None and create_answer is CreateAnswer.ACCEPTED:
            return _answer(task, headers=location, afterwards=claim)
        async with AsyncExitStack() as unless_on_air:
            unless_on_air.push_async_callback(creation.abandon, backend, task.task_id)
            on_air = await unless_gone(
                request.receive, creation.until_on_air(backend, task.task_id, create_timeout_s)
            )
            unless_on_air.pop_all()
        return _answer(on_air, afterwards=claim)

    @router.post(
        "/stop-task",
        summary="Take a digital human off air",
        response_model_exclude_none=True,
        dependencies=[json_only],
        responses=failures(Reason.MEDIA_TYPE_UNSUPPORTED, Reason.TASK_NOT_FOUND),
    )
    async def stop_task(body: TaskBody) -> StopAnswer:
        """Stop a task; repeating it is a success."""
        stopped = await backend.ask(backend.task.StopTask, pb.StopTaskRequest(task_id=body.task_id))
        return to_stop_answer(stopped.task, "Digital human task stopped")

    @router.get(
        "/tasks",
        summary="List tasks",
        response_model_exclude_none=True,
        responses=failures(Reason.INVALID_REQUEST),
    )
    async def list_tasks(
        page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 50,
        page_token: Annotated[
            str,
            Query(
                alias="pageToken", json_schema_extra=constraints(pb.ListTasksRequest, "page_token")
            ),
        ] = "",
        state: Annotated[list[State] | None, Query()] = None,
        user_id: Annotated[
            str,
            Query(alias="userId", json_schema_extra=constraints(pb.ListTasksRequest, "user_id")),
        ] = "",
    ) -> TaskList:
        """Return tasks, newest first."""
        states = [pb.TaskState.Value(f"TASK_STATE_{each}") for each in dict.fromkeys(state or ())]
        page = await backend.ask(
            backend.task.ListTasks,
            pb.ListTasksRequest(
                page_size=page_size, page_token=page_token, states=states, user_id=user_id
            ),
        )
        return TaskList(
            tasks=[to_task(task) for task in page.tasks],
            next_page_token=page.next_page_token or None,
        )

    @router.get(
        "/tasks/{taskId}",
        summary="Get a task",
        response_model_exclude_none=True,
        responses=failures(Reason.TASK_NOT_FOUND),
    )
    async def get_task(task_id: TaskIdInPath) -> TaskAnswer:
        """Return a task."""
        found = await backend.ask(backend.task.GetTask, pb.GetTaskRequest(task_id=task_id))
        return to_task_answer(found.task)

    @router.get(
        "/tasks/{taskId}/conversation",
        summary="Get what was said",
        response_model=Conversation,
        response_model_exclude_none=True,
        responses=failures(Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND),
    )
    async def get_conversation(
        task_id: TaskIdInPath, format: Annotated[Literal["json", "text"], Query()] = "json"
    ) -> Response:
        """Return the turns; `format=text` downloads them as plain text."""
        found = await _conversation(backend, task_id)
        turns = [to_turn(turn) for turn in found.turns]
        if format == "text":
            task = await backend.ask(backend.task.GetTask, pb.GetTaskRequest(task_id=task_id))
            return PlainTextResponse(
                to_text(turns, await catalogue.name_in(task.task.persona_id)),
                headers={"Content-Disposition": 'attachment; filename="transcript.txt"'},
            )
        conversation = Conversation(task_id=task_id, turns=turns, last_sequence=found.last_sequence)
        return JSONResponse(conversation.to_json())

    @router.get(
        "/tasks/{taskId}/turns/{turnId}/ledger",
        summary="Get what became of a reply",
        response_model_exclude_none=True,
        responses=failures(Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND, Reason.TURN_NOT_FOUND),
    )
    async def get_ledger(task_id: TaskIdInPath, turn_id: TurnIdInPath) -> LedgerAnswer:
        """Return which text became which sound, and how much of it was heard.

        The ledger is closed with the turn: one that runs has no segments yet.
        """
        found = await backend.ask(
            backend.task.GetTurn, pb.GetTurnRequest(task_id=task_id, turn_id=turn_id)
        )
        return to_ledger_answer(task_id, found)

    @router.get(
        "/tasks/{taskId}/events",
        summary="Watch a task",
        response_model=None,
        responses={
            200: {"content": {EventStream.media_type: {"schema": {"type": "string"}}}},
            STREAM_ENDED: {"description": "The task is over, and nothing is new."},
            **failures(Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND, Reason.SEQUENCE_OUT_OF_RANGE),
        },
    )
    async def watch_task(
        request: Request,
        task_id: TaskIdInPath,
        after: Sequence = None,
        last_event_id: Annotated[
            int | None,
            Header(
                alias="Last-Event-ID",
                ge=0,
                le=2**63 - 1,
                description="As `after`, and before it.",
            ),
        ] = None,
    ) -> Response:
        """Tell the task as it is, then its events as they happen, until its final state."""
        resumed = after if last_event_id is None else last_event_id
        events = _told(backend, task_id, resumed, request.url.path)
        async with asyncio.timeout(CALL_TIMEOUT_S):
            first = await anext(events)
        if first.data["task"]["state"] in FINAL_STATES and first.data["lastSequence"] == resumed:
            # The one answer that keeps an EventSource from connecting again.
            await events.aclose()
            return Response(status_code=STREAM_ENDED)
        return EventStream(first, events, drain=drain)

    return router


def _answer(
    task: pb.Task,
    *,
    afterwards: BackgroundTask,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    return JSONResponse(
        to_task_answer(task).to_json(),
        status_code=status,
        headers=headers,
        background=afterwards,
    )


async def _conversation(backend: Backend, task_id: str) -> pb.GetConversationResponse:
    """Return all turns, which come in pages."""
    whole = await backend.ask(
        backend.task.GetConversation, pb.GetConversationRequest(task_id=task_id)
    )
    has_more = whole.has_more
    while has_more:
        after = whole.turns[-1].turn_id
        page = await backend.ask(
            backend.task.GetConversation,
            pb.GetConversationRequest(task_id=task_id, after_turn_id=after),
        )
        whole.turns.extend(page.turns)
        has_more = page.has_more
    return whole


async def _told(
    backend: Backend, task_id: str, after: int | None, instance: str
) -> AsyncGenerator[Event, None]:
    async with aclosing(updates(backend, task_id, after=after)) as seen:
        async for update in seen:
            if update.HasField("snapshot"):
                yield of_snapshot(update.snapshot, is_resumed=after is not None)
                continue
            told = of_task(update.event, instance=instance)
            if told is not None:
                yield told
