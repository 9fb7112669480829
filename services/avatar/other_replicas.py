"""Calls to other replicas of this service, which have what a caller sent here."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import grpc
import structlog

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.channel import connected
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.security.tls import PeerTls

log = structlog.get_logger(__name__)

T = TypeVar("T")

PASSED_ON_HEADER = "x-parley-passed-on"
"""Marks what a replica has passed on: it goes no further."""

_ANSWER_S = 3.0
_GIVE_WAY_S = 2.0
_LINKS = 64
"""Replicas come and go: those beyond the last so many are gone."""
_NO_ANSWER = (
    Reason.CANCELLED,
    Reason.DEADLINE_EXCEEDED,
    Reason.DEPENDENCY_UNAVAILABLE,
    Reason.DRAINING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    stub: AvatarServiceStub
    life: AsyncExitStack


class OtherReplicas:
    """The other replicas, by their addresses."""

    def __init__(self, *, service_token: str | None, tls: PeerTls | None) -> None:
        self._service_token = service_token
        self._tls = tls
        self._links: OrderedDict[str, _Link] = OrderedDict()

    async def give_way(self, address: str, avatar_id: str, claim_id: UUID) -> None:
        """Have a replica end the drive of an avatar with this claim; one that is gone has."""
        request = pb.YieldAvatarRequest(claim_id=str(claim_id))
        stub = await self._at(address)
        try:
            await self._ask(stub.YieldAvatar, request, within_s=_GIVE_WAY_S)
        except ServiceError as error:
            log.warning("replica did not give way", avatar_id=avatar_id, reason=error.reason)

    async def interrupt(
        self, address: str, request: pb.InterruptAvatarRequest
    ) -> pb.InterruptAvatarResponse | None:
        """Have a replica cut off an avatar; None if it does not answer. Raises ServiceError."""
        stub = await self._at(address)
        try:
            return await self._ask(stub.InterruptAvatar, request, within_s=_ANSWER_S)
        except ServiceError as error:
            if error.reason not in _NO_ANSWER:
                raise
            log.warning("replica did not cut off", avatar_id=request.avatar_id, reason=error.reason)
            return None

    async def take_callback(self, address: str, request: pb.HandleCallbackRequest) -> None:
        """Have a replica take a callback; raises ServiceError, so that the cloud repeats it."""
        stub = await self._at(address)
        await self._ask(stub.HandleCallback, request, within_s=_ANSWER_S)

    async def close(self) -> None:
        """End all calls."""
        while self._links:
            await self._links.popitem()[1].life.aclose()

    async def _at(self, address: str) -> AvatarServiceStub:
        if address not in self._links:
            life = AsyncExitStack()
            channel = await life.enter_async_context(connected(address, tls=self._tls))
            self._links[address] = _Link(stub=AvatarServiceStub(channel), life=life)
        self._links.move_to_end(address)
        if len(self._links) > _LINKS:
            await self._links.popitem(last=False)[1].life.aclose()
        return self._links[address].stub

    async def _ask(
        self, method: Callable[..., Awaitable[T]], request: object, *, within_s: float
    ) -> T:
        metadata = (*outgoing_metadata(self._service_token), (PASSED_ON_HEADER, "1"))
        try:
            # What a replica that is not there would be asked for is over by the time it is back.
            return await method(request, timeout=within_s, metadata=metadata, wait_for_ready=False)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error


@asynccontextmanager
async def to_other_replicas(
    *, service_token: str | None, tls: PeerTls | None
) -> AsyncIterator[OtherReplicas]:
    """Calls to other replicas, which end with the block."""
    others = OtherReplicas(service_token=service_token, tls=tls)
    try:
        yield others
    finally:
        await others.close()
