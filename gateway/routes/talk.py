"""The endpoints that make the digital human speak, stop speaking, and move."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.backend import turns
from gateway.backend.catalogue import Catalogue
from gateway.backend.services import CALL_TIMEOUT_S, Backend
from gateway.contract.bodies import ActionBody, SayBody, TaskBody
from gateway.contract.content_type import requires_json
from gateway.contract.events import Event, of_conversation, of_ready
from gateway.contract.models import Done, TurnAnswer
from gateway.contract.openapi import TALK_REQUEST, failures, turn_answers
from gateway.contract.preferences import APPLIED, Prefer, TalkAnswer, prefers_early
from gateway.contract.problems import RETRY_AFTER_S, refused
from gateway.decoding.decoder import Decoder
from gateway.routes.answers import AskedTurn
from gateway.routes.questions import Question, read_question
from gateway.server.disconnection import unless_gone
from gateway.server.drain import Drain
from gateway.server.sse import EventStream
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.runtime.requests import new_request_id


def talk_routes(
    *,
    backend: Backend,
    catalogue: Catalogue,
    decoder: Decoder,
    turn_timeout_s: float,
    talk_answer: TalkAnswer,
    drain: Drain,
) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api/digital-human", tags=["conversation"])
    json_only = Depends(requires_json)

    async def answer(
        request: Request,
        asked: list[speech_pb2.ConverseRequest],
        *,
        prefer: list[str] | None,
        unspoken: TurnAnswer | None = None,
    ) -> Response:
        """Tell the turn as it goes on, when it begins to be heard, or when it is over.

        It goes on when the client leaves, unless that is to cut it off. `unspoken` is the answer
        when there was no turn; without it that is a failure.
        """
        cut_on_leave = asked[0].setup.cut_on_cancel
        responses = turns.converse(backend, asked, timeout_s=turn_timeout_s)
        if EventStream.media_type in request.headers.get("accept", ""):
            events = _told(responses, request.url.path, may_be_unspoken=unspoken is not None)
            return EventStream(await anext(events), events, drain=drain, goes_on=not cut_on_leave)
        turn = AskedTurn(responses, request_id=turns.request_id_of(asked[-1]))
        is_early = prefers_early(prefer)
        when = _answered_when(is_early, talk_answer)
        async with AsyncExitStack() as unless_followed:
            unless_followed.push_async_callback(responses.aclose)
            outcome = turn.until(when)
            held = await (unless_gone(request.receive, outcome) if cut_on_leave else outcome)
            held = held or unspoken
            if held is None:
                raise turns.without_turn()
            if when is TalkAnswer.FINISHED:
                return JSONResponse(held.to_json())
            unless_followed.pop_all()
            return JSONResponse(
                held.to_json(),
                status_code=202 if is_early else 200,
                headers=APPLIED if is_early else None,
                background=BackgroundTask(turn.follow),
            )

    async def to_requests(question: Question) -> list[speech_pb2.ConverseRequest]:
        start = turns.setup(question.task_id, question.lang, cut_on_cancel=question.cut_on_leave)
        if question.pcm is not None:
            return [start, *turns.spoken(question.pcm)]
        text = question.text
        if text is None:
            text = await sample_question(question)
        return [start, *turns.written(text, request_id=new_request_id())]

    async def sample_question(question: Question) -> str:
        task = await find_task(question.task_id)
        personas = await catalogue.personas()
        text = personas.sample_question(task.persona_id, question.lang or task.language_code)
        if text is None:
            raise refused(
                Reason.INVALID_REQUEST,
                "text",
                "required",
                "is required, because the persona has no sample question",
            )
        return text

    async def find_task(task_id: str) -> task_pb2.Task:
        found = await backend.ask(backend.task.GetTask, task_pb2.GetTaskRequest(task_id=task_id))
        return found.task

    @router.post(
        "/talk-to-ai",
        summary="Ask the digital human",
        response_model=None,
        responses=turn_answers(
            Reason.AUDIO_INVALID,
            Reason.AUDIO_FORMAT_UNSUPPORTED,
            Reason.AUDIO_TOO_LONG,
            Reason.NO_SPEECH,
            Reason.RECOGNITION_UNAVAILABLE,
            Reason.CHAT_UNAVAILABLE,
        ),
        openapi_extra=TALK_REQUEST,
    )
    async def talk_to_ai(request: Request, prefer: Prefer = None) -> Response:
        """Ask in speech or writing, and hear the answer from the avatar.

        With `Accept: text/event-stream` the turn is told while it goes on. A question that was
        sent whole is answered, also when its client leaves; with `cutOnLeave` that cuts it off.
        """
        question = await read_question(request, decoder, find_task)
        return await answer(request, await to_requests(question), prefer=prefer)

    @router.post(
        "/say",
        summary="Have the digital human say something",
        response_model=None,
        dependencies=[json_only],
        responses=turn_answers(),
    )
    async def say(request: Request, body: SayBody, prefer: Prefer = None) -> Response:
        """Speak a given text; answers as talk-to-ai does.

        A LOW text that was dropped is answered without `turnId`.
        """
        asked = [
            turns.setup(body.task_id, body.lang, cut_on_cancel=body.cut_on_leave),
            *turns.said(body.text, body.priority, request_id=new_request_id()),
        ]
        dropped = TurnAnswer(message="Dropped: something else is being said")
        return await answer(
            request, asked, prefer=prefer, unspoken=dropped if body.priority == "LOW" else None
        )

    @router.post(
        "/interrupt",
        summary="Cut off the reply",
        dependencies=[json_only],
        responses=failures(Reason.MEDIA_TYPE_UNSUPPORTED, Reason.TASK_NOT_FOUND, Reason.TASK_ENDED),
    )
    async def interrupt(body: TaskBody) -> Done:
        """Cut off whatever the digital human says; a silent one is a success."""
        asked = [turns.setup(body.task_id), *turns.interruption()]
        await turns.deliver(backend, asked, timeout_s=CALL_TIMEOUT_S)
        return Done(message="Interrupted")

    @router.post(
        "/action",
        summary="Make a gesture",
        dependencies=[json_only],
        responses=failures(
            Reason.MEDIA_TYPE_UNSUPPORTED,
            Reason.TASK_NOT_FOUND,
            Reason.TASK_NOT_ON_AIR,
            Reason.AVATAR_ENDED,
        ),
    )
    async def act(body: ActionBody) -> Done:
        """Have the digital human make one of its gestures."""
        task = await find_task(body.task_id)
        if not task.avatar_id:
            raise ServiceError(
                Reason.TASK_NOT_ON_AIR,
                "The task has no avatar yet.",
                retry_after_s=RETRY_AFTER_S,
                task_id=body.task_id,
            )
        await backend.ask(
            backend.avatar.PerformAction,
            avatar_pb2.PerformActionRequest(avatar_id=task.avatar_id, action=body.action),
        )
        return Done(message="Action performed")

    return router


def _answered_when(is_early: bool | None, default: TalkAnswer) -> TalkAnswer:
    if is_early is None:
        return default
    return TalkAnswer.PLAYING if is_early else TalkAnswer.FINISHED


async def _told(
    turn: AsyncGenerator[speech_pb2.ConverseResponse, None],
    instance: str,
    *,
    may_be_unspoken: bool,
) -> AsyncGenerator[Event, None]:
    is_spoken = may_be_unspoken
    async with aclosing(turn):
        async for response in turn:
            match response.WhichOneof("response"):
                case "ready":
                    yield of_ready(response.ready)
                case "event":
                    is_spoken = is_spoken or response.event.turn_id > 0
                    told = of_conversation(response.event, instance=instance)
                    if told is not None:
                        yield told
                case _:
                    pass
    if not is_spoken:
        raise turns.without_turn()
