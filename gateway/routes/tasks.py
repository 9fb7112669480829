"""The endpoints of a task's life: create, stop, list, get."""

from contextlib import AsyncExitStack
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.access.principal import Clearance, current_principal
from gateway.backend import creation, greeting
from gateway.backend.catalogue import Catalogue
from gateway.backend.creation import CLAIM_MARGIN_S
from gateway.backend.orders import Orders
from gateway.backend.placing import place
from gateway.backend.services import Backend
from gateway.contract.bodies import CreateTaskBody, TaskBody, UpdateTaskBody
from gateway.contract.call_wire import to_call_facts
from gateway.contract.constraints import constraints
from gateway.contract.content_type import requires_json
from gateway.contract.fields import TaskIdInPath
from gateway.contract.models import TASK_STATES, StopAnswer, TaskAnswer, TaskList
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.preferences import APPLIED, CreateAnswer, Prefer, prefers_early
from gateway.contract.wire import from_stopped_task, from_task, from_task_answer
from gateway.server.disconnection import unless_gone
from services.runtime.failures.reasons import Reason

PREFIX = "/api/digital-human"
MAX_KEY_LENGTH = 255

State = Literal[TASK_STATES]  # type: ignore[valid-type]  # one tuple for all uses


class TaskRoutes:
    """Creates, stops and lists tasks."""

    def __init__(
        self,
        *,
        backend: Backend,
        catalogue: Catalogue,
        create_timeout_s: float,
        create_answer: CreateAnswer,
    ) -> None:
        self._backend = backend
        self._orders = Orders(backend, catalogue)
        self._create_timeout_s = create_timeout_s
        self._create_answer = create_answer

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(prefix=PREFIX, tags=["tasks"], dependencies=[Depends(requires_single)])
        json_only = Depends(requires_json)
        router.post(
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
                    Reason.TASK_NOT_FOUND,
                    Reason.STREAM_IN_USE,
                    Reason.REQUEST_ID_REUSED,
                    Reason.DIGITAL_HUMAN_NOT_FOUND,
                    Reason.CAPACITY_EXCEEDED,
                    Reason.QUOTA_EXCEEDED,
                    Reason.BUDGET_EXCEEDED,
                    Reason.AVATAR_CAPACITY_EXCEEDED,
                    Reason.AVATAR_START_FAILED,
                    Reason.CLOUD_BUSY,
                    Reason.DEADLINE_EXCEEDED,
                ),
            },
        )(self.create_task)
        router.post(
            "/stop-task",
            summary="Take a digital human off air",
            response_model_exclude_none=True,
            dependencies=[json_only],
            responses=failures(Reason.MEDIA_TYPE_UNSUPPORTED, Reason.TASK_NOT_FOUND),
        )(self.stop_task)
        router.get(
            "/tasks",
            summary="List tasks",
            response_model_exclude_none=True,
            responses=failures(Reason.INVALID_REQUEST),
        )(self.list_tasks)
        router.get(
            "/tasks/{taskId}",
            summary="Get a task",
            response_model_exclude_none=True,
            responses=failures(Reason.TASK_NOT_FOUND),
        )(self.get_task)
        router.patch(
            "/tasks/{taskId}",
            summary="Change what is known of a call",
            response_model_exclude_none=True,
            dependencies=[json_only],
            responses=failures(
                Reason.INVALID_REQUEST,
                Reason.MALFORMED_MESSAGE,
                Reason.MEDIA_TYPE_UNSUPPORTED,
                Reason.VOICE_NOT_FOUND,
                Reason.TASK_NOT_FOUND,
                Reason.TASK_ENDED,
            ),
        )(self.update_task)
        return router

    async def create_task(
        self,
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
            body, idempotency_key, claim_timeout_s=self._create_timeout_s + CLAIM_MARGIN_S
        )
        task = await place(self._backend, self._orders, order)
        is_silent = order.facts.HasField("greeting") and not order.facts.greeting
        is_greeted = body.greet_when == "ON_AIR" and not is_silent
        # After the answer is sent: nobody would stop a task whose creator was never answered.
        claim = BackgroundTask(self._follow, task.task_id, is_greeted=is_greeted)
        is_early = prefers_early(prefer)
        location = {"Location": f"{PREFIX}/tasks/{task.task_id}"}
        if is_early:
            return _answer(task, status=202, headers=location | APPLIED, afterwards=claim)
        if is_early is None and self._create_answer is CreateAnswer.ACCEPTED:
            return _answer(task, headers=location, afterwards=claim)
        async with AsyncExitStack() as unless_on_air:
            unless_on_air.push_async_callback(creation.abandon, self._backend, task.task_id)
            on_air = await unless_gone(
                request.receive,
                creation.until_on_air(self._backend, task.task_id, self._create_timeout_s),
            )
            unless_on_air.pop_all()
        return _answer(on_air, afterwards=claim)

    async def update_task(self, task_id: TaskIdInPath, body: UpdateTaskBody) -> TaskAnswer:
        """Change what is known of a call that has not ended; its next turn knows it."""
        return from_task_answer(await self._orders.change(task_id, to_call_facts(body)))

    async def stop_task(self, body: TaskBody) -> StopAnswer:
        """Stop a task; repeating it is a success."""
        stopped = await self._backend.ask(
            self._backend.task.StopTask, pb.StopTaskRequest(task_id=body.task_id)
        )
        return from_stopped_task(stopped.task, "Digital human task stopped")

    async def list_tasks(
        self,
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
        every_tenant: Annotated[
            bool,
            Query(
                alias="everyTenant",
                description="Those of all tenants: for operators of the default tenant.",
            ),
        ] = False,
    ) -> TaskList:
        """Return tasks, newest first."""
        if every_tenant:
            current_principal().require(Clearance.DEPLOYMENT)
        states = [pb.TaskState.Value(f"TASK_STATE_{each}") for each in dict.fromkeys(state or ())]
        page = await self._backend.ask(
            self._backend.task.ListTasks,
            pb.ListTasksRequest(
                page_size=page_size,
                page_token=page_token,
                states=states,
                user_id=user_id,
                every_tenant=every_tenant,
            ),
        )
        return TaskList(
            tasks=[from_task(task) for task in page.tasks],
            next_page_token=page.next_page_token or None,
        )

    async def get_task(self, task_id: TaskIdInPath) -> TaskAnswer:
        """Return a task."""
        found = await self._backend.ask(
            self._backend.task.GetTask, pb.GetTaskRequest(task_id=task_id)
        )
        return from_task_answer(found.task)

    async def _follow(self, task_id: str, *, is_greeted: bool) -> None:
        """Claim a task whose creator was answered, and have its user greeted once it is on air."""
        await creation.claim(self._backend, task_id)
        if is_greeted:
            await greeting.greet_on_air(self._backend, task_id, timeout_s=self._create_timeout_s)


def _answer(
    task: pb.Task,
    *,
    afterwards: BackgroundTask,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    return JSONResponse(
        from_task_answer(task).to_json(),
        status_code=status,
        headers=headers,
        background=afterwards,
    )
