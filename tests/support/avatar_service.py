"""An avatar service in front of a scripted cloud, for tests of its callers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1.avatar_pb2_grpc import add_AvatarServiceServicer_to_server
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.serving.server import ServingOptions, serving
from services.task.domain.tasks import Task
from services.task.ports.cloud import Avatar
from tests.support.task import ScriptedCloud


class ScriptedAvatarServicer:
    """Answers like a scripted cloud; `requests` are the orders as received."""

    def __init__(self, cloud: ScriptedCloud) -> None:
        self._cloud = cloud
        self.requests: list[pb.StartAvatarRequest] = []
        self.metadata: list[dict[str, str]] = []

    async def StartAvatar(
        self, request: pb.StartAvatarRequest, context: Any
    ) -> pb.StartAvatarResponse:
        """Order an avatar."""
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        avatar = await self._cloud.start_avatar(
            Task(
                task_id=f"order-{len(self.requests)}",
                room_id=request.room_id,
                stream_id=request.stream_id,
                digital_human_id=request.digital_human_id,
                max_duration=request.max_duration.ToTimedelta(),
                max_idle_duration=request.max_idle_duration.ToTimedelta(),
                create_time=datetime.now(UTC),
            )
        )
        return pb.StartAvatarResponse(
            avatar=_to_pb(avatar), digital_human_id=avatar.digital_human_id
        )

    async def StopAvatar(
        self, request: pb.StopAvatarRequest, context: Any
    ) -> pb.StopAvatarResponse:
        """Stop an avatar."""
        await self._cloud.stop_avatar(request.avatar_id)
        return pb.StopAvatarResponse()

    async def GetAvatar(self, request: pb.GetAvatarRequest, context: Any) -> pb.GetAvatarResponse:
        """Return an avatar."""
        avatar = await self._cloud.get_avatar(request.avatar_id)
        if avatar is None:
            raise ServiceError(Reason.AVATAR_NOT_FOUND, "avatar_id: there is no such avatar")
        return pb.GetAvatarResponse(avatar=_to_pb(avatar))

    async def ListAvatars(
        self, request: pb.ListAvatarsRequest, context: Any
    ) -> pb.ListAvatarsResponse:
        """List the running avatars."""
        avatars = await self._cloud.list_avatars()
        return pb.ListAvatarsResponse(avatars=[_to_pb(avatar) for avatar in avatars])

    def __getattr__(self, name: str) -> None:
        """The other methods, which tasks do not use: they are registered but cannot be called."""
        if name not in pb.DESCRIPTOR.services_by_name["AvatarService"].methods_by_name:
            raise AttributeError(name)


@asynccontextmanager
async def scripted_avatar_service(
    cloud: ScriptedCloud, **options: Any
) -> AsyncIterator[tuple[str, ScriptedAvatarServicer]]:
    """Serve the avatars of a cloud while the block is open; yields the address and the servicer."""
    servicer = ScriptedAvatarServicer(cloud)

    def register(server: grpc.aio.Server) -> None:
        add_AvatarServiceServicer_to_server(servicer, server)  # type: ignore[arg-type]

    chosen = ServingOptions(**{"host": "127.0.0.1", "port": 0, "drain_s": 0.0, **options})
    async with serving(chosen, [], register) as server:
        yield server.address, servicer


def _to_pb(avatar: Avatar) -> pb.Avatar:
    return pb.Avatar(
        avatar_id=avatar.avatar_id,
        state=pb.AvatarState.Value(f"AVATAR_STATE_{avatar.state}"),
        room_id=avatar.room_id,
        stream_id=avatar.stream_id,
    )
