"""The endpoint of the cloud: its callbacks."""

import structlog
from fastapi import APIRouter, Request

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.backend.services import Backend
from gateway.contract.models import Done
from gateway.contract.openapi import failures
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

SIGNED = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object"}}},
    "description": "As the cloud signed it.",
}

log = structlog.get_logger(__name__)


class CallbackRoutes:
    """Takes the cloud's callbacks."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def router(self) -> APIRouter:
        """Return the endpoint."""
        router = APIRouter(prefix="/api")
        router.post(
            "/callbacks/zego",
            tags=["cloud"],
            summary="Take a callback of the cloud",
            responses=failures(Reason.CALLBACK_INVALID, Reason.INVALID_REQUEST),
            openapi_extra={"requestBody": SIGNED},
        )(self.take_callback)
        return router

    async def take_callback(self, request: Request) -> Done:
        """Check a signed callback and have the task's true state looked up."""
        body = await request.body()
        taken = await self._backend.ask(
            self._backend.avatar.HandleCallback, avatar_pb2.HandleCallbackRequest(body=body)
        )
        # Of a state that is not known yet, too: the true one is looked up.
        if taken.avatar_id and not taken.drive_id:
            await self._refresh(taken.avatar_id)
        return Done(message="Callback taken")

    async def _refresh(self, avatar_id: str) -> None:
        try:
            await self._backend.ask(
                self._backend.task.RefreshTask, task_pb2.RefreshTaskRequest(avatar_id=avatar_id)
            )
        except ServiceError as error:
            if error.reason is not Reason.TASK_NOT_FOUND:
                raise
            # The account may have avatars that are not ours.
            log.info("callback about a foreign avatar")
