"""The cloud, through the avatar service."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.replicas import Replicas
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.wire import from_timestamp, to_duration
from services.task.domain.tasks import Task
from services.task.ports.cloud import Avatar, AvatarState

# Shorter than the time that callers give CreateTask, so that they get an answer.
START_TIMEOUT_S = 12.0
TIMEOUT_S = 5.0

_STATES = {
    pb.AVATAR_STATE_STARTING: AvatarState.STARTING,
    pb.AVATAR_STATE_STREAMING: AvatarState.STREAMING,
    pb.AVATAR_STATE_STOPPING: AvatarState.STOPPING,
    pb.AVATAR_STATE_STOPPED: AvatarState.STOPPED,
    pb.AVATAR_STATE_FAILED: AvatarState.FAILED,
}

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


class AvatarCloud:
    """Calls the avatar service; every call has a deadline, every failure a published reason."""

    def __init__(self, avatars: Replicas[AvatarServiceStub], service_token: str | None) -> None:
        self._avatars = avatars
        self._service_token = service_token

    async def start_avatar(self, task: Task) -> Avatar:
        """Order the avatar of a task."""
        request = pb.StartAvatarRequest(
            room_id=task.room_id,
            stream_id=task.stream_id,
            digital_human_id=task.digital_human_id,
            background_color=task.background_color,
            max_duration=to_duration(task.lifetime.total_seconds()),
            max_idle_duration=to_duration(task.max_idle_duration.total_seconds()),
        )
        answer = await self._ask(self._avatars.any.StartAvatar, request, START_TIMEOUT_S)
        return _from_avatar(answer.avatar, answer.digital_human_id)

    async def stop_avatar(self, avatar_id: str) -> None:
        """Stop an avatar; one that is stopped or unknown is a success."""
        await self._ask(
            self._avatars.any.StopAvatar, pb.StopAvatarRequest(avatar_id=avatar_id), TIMEOUT_S
        )

    async def get_avatar(self, avatar_id: str) -> Avatar | None:
        """Return an avatar, or None when the cloud does not know it."""
        try:
            answer = await self._ask(
                self._avatars.any.GetAvatar, pb.GetAvatarRequest(avatar_id=avatar_id), TIMEOUT_S
            )
        except ServiceError as error:
            if error.reason is Reason.AVATAR_NOT_FOUND:
                return None
            raise
        return _from_avatar(answer.avatar)

    async def list_avatars(self) -> Sequence[Avatar]:
        """Return the avatars that are starting or on air."""
        answer = await self._ask(self._avatars.any.ListAvatars, pb.ListAvatarsRequest(), TIMEOUT_S)
        return [_from_avatar(each) for each in answer.avatars]

    async def _ask(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, timeout_s: float
    ) -> A:
        try:
            return await method(
                request, timeout=timeout_s, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None


def _from_avatar(avatar: pb.Avatar, digital_human_id: str = "") -> Avatar:
    return Avatar(
        avatar_id=avatar.avatar_id,
        state=_STATES.get(avatar.state, AvatarState.UNKNOWN),
        room_id=avatar.room_id,
        stream_id=avatar.stream_id,
        digital_human_id=digital_human_id,
        fail_reason=avatar.fail_reason,
        create_time=datetime.fromtimestamp(from_timestamp(avatar.create_time), UTC)
        if avatar.HasField("create_time")
        else None,
    )
