"""The endpoints around a call: what there is to choose, a viewer's token, the cloud's callbacks."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.backend.catalogue import Catalogue
from gateway.backend.services import Backend
from gateway.contract.constraints import constraints
from gateway.contract.models import ConfigAnswer, Done, TokenAnswer
from gateway.contract.openapi import failures
from gateway.contract.wire import time_text, to_digital_human, to_persona, to_playback
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason

log = structlog.get_logger(__name__)


def viewer_routes(*, backend: Backend) -> APIRouter:
    """Return the endpoints of viewers and of the cloud."""
    router = APIRouter(prefix="/api")

    @router.get(
        "/token",
        tags=["viewers"],
        summary="Get a viewer's token",
        response_model_exclude_none=True,
        responses=failures(Reason.INVALID_REQUEST),
    )
    async def create_token(
        user_id: Annotated[
            str,
            Query(
                alias="userId",
                description="Who enters the room, 1 to 64 bytes.",
                json_schema_extra=constraints(avatar_pb2.CreateViewerTokenRequest, "user_id"),
            ),
        ],
        room_id: Annotated[
            str,
            Query(
                alias="roomId",
                description="The only room that it opens; default: any.",
                json_schema_extra=constraints(avatar_pb2.CreateViewerTokenRequest, "room_id"),
            ),
        ] = "",
        stream_id: Annotated[
            str,
            Query(
                alias="streamId",
                description="Stream to watch, for `playback`.",
                json_schema_extra=constraints(avatar_pb2.CreateViewerTokenRequest, "stream_id"),
            ),
        ] = "",
        publish: Annotated[
            str,
            Query(
                description="The only stream that the viewer may publish; default: none.",
                json_schema_extra=constraints(
                    avatar_pb2.CreateViewerTokenRequest, "publish_stream_id"
                ),
            ),
        ] = "",
    ) -> TokenAnswer:
        """Make a token with which a viewer watches the digital human."""
        made = await backend.ask(
            backend.avatar.CreateViewerToken,
            avatar_pb2.CreateViewerTokenRequest(
                user_id=user_id, room_id=room_id, stream_id=stream_id, publish_stream_id=publish
            ),
        )
        return TokenAnswer(
            token=made.token,
            expires_at=time_text(made.expire_time),
            app_id=made.app_id,
            playback=to_playback(made.playback),
        )

    @router.post(
        "/callbacks/zego",
        tags=["cloud"],
        summary="Take a callback of the cloud",
        responses=failures(Reason.CALLBACK_INVALID, Reason.INVALID_REQUEST),
    )
    async def take_callback(request: Request) -> Done:
        """Check a signed callback and have the task's true state looked up."""
        body = await request.body()
        told = await backend.ask(
            backend.avatar.HandleCallback, avatar_pb2.HandleCallbackRequest(body=body)
        )
        if told.avatar_id and told.avatar_state:
            await _refresh(backend, told.avatar_id)
        return Done(message="Callback taken")

    return router


def config_routes(
    *,
    catalogue: Catalogue,
    version: str,
    needs_key: bool,
    max_upload_bytes: int,
    max_audio_s: float,
) -> APIRouter:
    """Return the endpoint that tells a client what there is."""
    router = APIRouter(prefix="/api", tags=["viewers"])

    @router.get(
        "/config",
        summary="Get what there is to choose",
        response_model_exclude_none=True,
        responses=failures(),
    )
    async def get_config() -> ConfigAnswer:
        """Return the personas, the digital humans, the languages and the limits."""
        personas = await catalogue.personas()
        people = await catalogue.digital_humans()
        return ConfigAnswer(
            version=version,
            needs_key=needs_key,
            default_persona_id=personas.default_id or None,
            personas=[to_persona(each) for each in personas.all],
            digital_humans=[to_digital_human(each) for each in people.all],
            languages=sorted({code for each in personas.all for code in each.language_codes}),
            max_upload_bytes=max_upload_bytes,
            max_audio_seconds=max_audio_s,
        )

    return router


async def _refresh(backend: Backend, avatar_id: str) -> None:
    try:
        await backend.ask(
            backend.task.RefreshTask, task_pb2.RefreshTaskRequest(avatar_id=avatar_id)
        )
    except ServiceError as error:
        if error.reason is not Reason.TASK_NOT_FOUND:
            raise
        # The account may have avatars that are not ours.
        log.info("callback about a foreign avatar")
