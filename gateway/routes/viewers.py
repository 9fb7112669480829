"""The endpoint of viewers: a token to watch a digital human with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from gateway.backend.services import Backend
from gateway.backend.viewing import View, permitted
from gateway.contract.constraints import constraints
from gateway.contract.fields import Id
from gateway.contract.models import TokenAnswer
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.wire import from_viewer_token
from services.runtime.failures.reasons import Reason


class ViewerRoutes:
    """Issues viewers' tokens."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def router(self) -> APIRouter:
        """Return the endpoint."""
        router = APIRouter(prefix="/api", dependencies=[Depends(requires_single)])
        router.get(
            "/token",
            tags=["viewers"],
            summary="Get a viewer's token",
            response_model_exclude_none=True,
            responses=failures(Reason.INVALID_REQUEST, Reason.TASK_NOT_FOUND),
        )(self.create_token)
        return router

    async def create_token(
        self,
        user_id: Annotated[
            Id,
            Query(
                alias="userId",
                description="Who enters the room, 1 to 64 bytes.",
                json_schema_extra=constraints(pb.CreateViewerTokenRequest, "user_id"),
            ),
        ],
        room_id: Annotated[
            Id,
            Query(
                alias="roomId",
                description="The only room that it opens; default: any.",
                json_schema_extra=constraints(pb.CreateViewerTokenRequest, "room_id"),
            ),
        ] = "",
        stream_id: Annotated[
            Id,
            Query(
                alias="streamId",
                description="Stream to watch, for `playback`.",
                json_schema_extra=constraints(pb.CreateViewerTokenRequest, "stream_id"),
            ),
        ] = "",
        publish: Annotated[
            str,
            Query(
                description="The only stream that the viewer may publish; default: none.",
                json_schema_extra=constraints(pb.CreateViewerTokenRequest, "publish_stream_id"),
            ),
        ] = "",
    ) -> TokenAnswer:
        """Make a token with which a viewer watches the digital human."""
        wanted = View(room_id=room_id, stream_id=stream_id, publish=publish)
        view = await permitted(self._backend, wanted)
        made = await self._backend.ask(
            self._backend.avatar.CreateViewerToken,
            pb.CreateViewerTokenRequest(
                user_id=user_id,
                room_id=view.room_id,
                stream_id=view.stream_id,
                publish_stream_id=view.publish,
            ),
        )
        return from_viewer_token(made)
