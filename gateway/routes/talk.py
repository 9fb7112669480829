"""The endpoints that make the digital human speak, stop speaking, and move."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import assert_never

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.backend import greeting, turns
from gateway.backend.catalogue import Catalogue
from gateway.backend.services import CALL_TIMEOUT_S, Backend
from gateway.contract.bodies import ActionBody, SayBody, TaskBody, ToolResultBody
from gateway.contract.content_type import requires_json
from gateway.contract.conversation_events import Event
from gateway.contract.event_wire import from_conversation_event, from_ready
from gateway.contract.fields import RequestIdInPath, TaskIdInPath
from gateway.contract.models import Done
from gateway.contract.openapi import TALK_REQUEST, failures, turn_answers
from gateway.contract.parameters import requires_single
from gateway.contract.preferences import (
    APPLIED,
    Prefer,
    TalkAnswer,
    accepts,
    prefers_early,
)
from gateway.contract.problems import RETRY_AFTER_S, refused
from gateway.contract.turn_models import TurnAnswer
from gateway.decoding.decoder import Decoder
from gateway.middleware.concurrency import Concurrency
from gateway.routes.answers import AskedTurn
from gateway.routes.questions import Question, read_question
from gateway.server.disconnection import unless_gone
from gateway.server.drain import Drain
from gateway.server.sse import EventStream
from services.runtime.callers.requests import new_request_id
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class TalkRoutes:
    """Asks the digital human, gives it words to say, interrupts it, and has it move."""

    def __init__(
        self,
        *,
        backend: Backend,
        catalogue: Catalogue,
        decoder: Decoder,
        uploads: Concurrency,
        turn_timeout_s: float,
        talk_answer: TalkAnswer,
        drain: Drain,
    ) -> None:
        self._backend = backend
        self._catalogue = catalogue
        self._decoder = decoder
        self._uploads = uploads
        self._turn_timeout_s = turn_timeout_s
        self._talk_answer = talk_answer
        self._drain = drain

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(
            prefix="/api/digital-human",
            tags=["conversation"],
            dependencies=[Depends(requires_single)],
        )
        json_only = Depends(requires_json)
        router.post(
            "/talk-to-ai",
            summary="Ask the digital human",
            response_model=None,
            responses=turn_answers(
                Reason.AUDIO_INVALID,
                Reason.AUDIO_FORMAT_UNSUPPORTED,
                Reason.AUDIO_TOO_LONG,
                Reason.NO_SPEECH,
                Reason.TALK_RATE_EXCEEDED,
                Reason.RECOGNITION_UNAVAILABLE,
                Reason.CHAT_UNAVAILABLE,
            ),
            openapi_extra=TALK_REQUEST,
        )(self.talk_to_ai)
        router.post(
            "/say",
            summary="Have the digital human say something",
            response_model=None,
            dependencies=[json_only],
            responses=turn_answers(),
        )(self.say)
        router.delete(
            "/tasks/{taskId}/say/{requestId}",
            summary="Take back words to say",
            responses=failures(Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND, Reason.TASK_ENDED),
        )(self.withdraw)
        router.post(
            "/greet",
            summary="Greet the user",
            dependencies=[json_only],
            responses=failures(
                Reason.MEDIA_TYPE_UNSUPPORTED, Reason.TASK_NOT_FOUND, Reason.TASK_ENDED
            ),
        )(self.greet)
        router.post(
            "/interrupt",
            summary="Cut off the reply",
            dependencies=[json_only],
            responses=failures(
                Reason.MEDIA_TYPE_UNSUPPORTED, Reason.TASK_NOT_FOUND, Reason.TASK_ENDED
            ),
        )(self.interrupt)
        router.post(
            "/tool-result",
            summary="Return what a function of the app did",
            dependencies=[json_only],
            responses=failures(
                Reason.MEDIA_TYPE_UNSUPPORTED,
                Reason.TASK_NOT_FOUND,
                Reason.TASK_NOT_ON_AIR,
                Reason.TASK_ENDED,
            ),
        )(self.return_result)
        router.post(
            "/action",
            summary="Make a gesture",
            dependencies=[json_only],
            responses=failures(
                Reason.MEDIA_TYPE_UNSUPPORTED,
                Reason.TASK_NOT_FOUND,
                Reason.TASK_NOT_ON_AIR,
                Reason.AVATAR_ENDED,
            ),
        )(self.act)
        return router

    async def talk_to_ai(self, request: Request, prefer: Prefer = None) -> Response:
        """Ask in speech or writing, and hear the answer from the avatar.

        With `Accept: text/event-stream` the turn is streamed while it goes on. A question that was
        sent whole is answered, also when its client leaves; with `cutOnLeave` that cuts it off.
        """
        question = await read_question(
            request, self._decoder, self._find_task, uploads=self._uploads
        )
        return await self._answer(request, await self._to_requests(question), prefer=prefer)

    async def say(self, request: Request, body: SayBody, prefer: Prefer = None) -> Response:
        """Speak a given text; answers as talk-to-ai does.

        A text that was not said is answered without `turnId`: a LOW one that was dropped, or one
        that was interrupted before its turn, withdrawn, or said before.
        """
        asked = [
            turns.setup(body.task_id, body.lang, cut_on_cancel=body.cut_on_leave),
            *turns.said(
                body.text,
                body.priority,
                request_id=body.request_id,
                interruptible=body.interruptible,
            ),
        ]
        unspoken = TurnAnswer(message="Not said: dropped, withdrawn, or said before")
        return await self._answer(request, asked, prefer=prefer, unspoken=unspoken)

    async def withdraw(self, task_id: TaskIdInPath, request_id: RequestIdInPath) -> Done:
        """Take back words to say: they are not said, or cut off, even if not interruptible.

        Words that are over, or that never came, are a success.
        """
        asked = [turns.setup(task_id), *turns.withdrawal(request_id)]
        await turns.deliver(self._backend, asked, timeout_s=CALL_TIMEOUT_S)
        return Done(message="Withdrawn")

    async def greet(self, body: TaskBody) -> Done:
        """Have the user greeted, who watches now; does nothing once anything was said or asked."""
        await greeting.greet(self._backend, body.task_id, timeout_s=CALL_TIMEOUT_S)
        return Done(message="Greeted")

    async def interrupt(self, body: TaskBody) -> Done:
        """Cut off whatever the digital human says; a silent one is a success."""
        asked = [turns.setup(body.task_id), *turns.interruption()]
        await turns.deliver(self._backend, asked, timeout_s=CALL_TIMEOUT_S)
        return Done(message="Interrupted")

    async def return_result(self, body: ToolResultBody) -> Done:
        """Pass on to the model what a function returned that the event `tool_called` asked for.

        Of several results the first counts; one that is not waited for is a success, too.
        """
        told = turns.tool_result(body.call_id, body.result, failed=body.failed)
        asked = [turns.setup(body.task_id), *told]
        await turns.deliver(self._backend, asked, timeout_s=CALL_TIMEOUT_S)
        return Done(message="Result taken")

    async def act(self, body: ActionBody) -> Done:
        """Have the digital human make one of its gestures."""
        task = await self._find_task(body.task_id)
        if not task.avatar_id:
            raise ServiceError(
                Reason.TASK_NOT_ON_AIR,
                "The task has no avatar yet.",
                retry_after_s=RETRY_AFTER_S,
                task_id=body.task_id,
            )
        await self._backend.ask(
            self._backend.avatar.PerformAction,
            avatar_pb2.PerformActionRequest(avatar_id=task.avatar_id, action=body.action),
        )
        return Done(message="Action performed")

    async def _answer(
        self,
        request: Request,
        asked: list[speech_pb2.ConverseRequest],
        *,
        prefer: list[str] | None,
        unspoken: TurnAnswer | None = None,
    ) -> Response:
        """Answer with the turn's events, when it begins to be heard, or when it is over.

        It goes on when the client leaves, unless that is to cut it off. `unspoken` is the answer
        when there was no turn; without it that is a failure.
        """
        cut_on_leave = asked[0].setup.cut_on_cancel
        responses = turns.converse(self._backend, asked, timeout_s=self._turn_timeout_s)
        if accepts(EventStream.media_type, request.headers.getlist("accept")):
            events = _events(responses, request.url.path, may_be_unspoken=unspoken is not None)
            first = await anext(events)
            return EventStream(first, events, drain=self._drain, goes_on=not cut_on_leave)
        turn = AskedTurn(responses, request_id=turns.request_id_of(asked[-1]))
        is_early = prefers_early(prefer)
        when = _answered_when(is_early, self._talk_answer)
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

    async def _to_requests(self, question: Question) -> list[speech_pb2.ConverseRequest]:
        start = turns.setup(question.task_id, question.lang, cut_on_cancel=question.cut_on_leave)
        if question.pcm is not None:
            return [start, *turns.spoken(question.pcm)]
        text = question.text
        if text is None:
            text = await self._sample_question(question)
        return [start, *turns.written(text, request_id=new_request_id())]

    async def _sample_question(self, question: Question) -> str:
        task = await self._find_task(question.task_id)
        personas = await self._catalogue.personas()
        text = personas.sample_question(task.persona_id, question.lang or task.language_code)
        if text is None:
            raise refused(
                Reason.INVALID_REQUEST,
                "text",
                "required",
                "is required, because the persona has no sample question",
            )
        return text

    async def _find_task(self, task_id: str) -> task_pb2.Task:
        found = await self._backend.ask(
            self._backend.task.GetTask, task_pb2.GetTaskRequest(task_id=task_id)
        )
        return found.task


def _answered_when(is_early: bool | None, default: TalkAnswer) -> TalkAnswer:
    if is_early is None:
        return default
    return TalkAnswer.PLAYING if is_early else TalkAnswer.FINISHED


async def _events(
    turn: AsyncGenerator[speech_pb2.ConverseResponse, None],
    instance: str,
    *,
    may_be_unspoken: bool,
) -> AsyncGenerator[Event, None]:
    is_spoken = may_be_unspoken
    async with aclosing(turn):
        async for response in turn:
            kind = response.WhichOneof("response")
            match kind:
                case "ready":
                    yield from_ready(response.ready)
                case "event":
                    is_spoken = is_spoken or response.event.turn_id > 0
                    event = from_conversation_event(response.event, instance=instance)
                    if event is not None:
                        yield event
                case "audio_produced" | None:
                    pass
                case _:
                    assert_never(kind)
    if not is_spoken:
        raise turns.without_turn()
