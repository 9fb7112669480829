"""An avatar service whose avatars are on air at once and cost nothing, for what records tasks."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1 import avatar_pb2_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ReadyAvatars(avatar_pb2_grpc.AvatarServiceServicer):
    """Starts, shows and stops avatars."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._avatars: dict[str, pb.Avatar] = {}

    async def StartAvatar(
        self, request: pb.StartAvatarRequest, context: Context
    ) -> pb.StartAvatarResponse:
        """Put an avatar on air."""
        avatar = pb.Avatar(
            avatar_id=f"avatar-{next(self._numbers)}",
            state=pb.AVATAR_STATE_STREAMING,
            room_id=request.room_id,
            stream_id=request.stream_id,
        )
        self._avatars[avatar.avatar_id] = avatar
        return pb.StartAvatarResponse(avatar=avatar, digital_human_id="bench")

    async def GetAvatar(
        self, request: pb.GetAvatarRequest, context: Context
    ) -> pb.GetAvatarResponse:
        """Return an avatar."""
        stopped = pb.Avatar(avatar_id=request.avatar_id, state=pb.AVATAR_STATE_STOPPED)
        return pb.GetAvatarResponse(avatar=self._avatars.get(request.avatar_id, stopped))

    async def ListAvatars(
        self, request: pb.ListAvatarsRequest, context: Context
    ) -> pb.ListAvatarsResponse:
        """Return the avatars on air."""
        return pb.ListAvatarsResponse(avatars=list(self._avatars.values()))

    async def StopAvatar(
        self, request: pb.StopAvatarRequest, context: Context
    ) -> pb.StopAvatarResponse:
        """Take an avatar off air."""
        return pb.StopAvatarResponse(replayed=self._avatars.pop(request.avatar_id, None) is None)


@asynccontextmanager
async def serving_avatars(port: int) -> AsyncIterator[None]:
    """Serve on a port of this machine until the block is left."""
    server = grpc.aio.server()
    # The task service calls none of the other methods.
    avatars = ReadyAvatars()  # type: ignore[abstract]
    avatar_pb2_grpc.add_AvatarServiceServicer_to_server(avatars, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)
