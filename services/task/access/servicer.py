"""The access contract: who may call."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
from google.protobuf.duration_pb2 import Duration

from digitalhuman.access.v1 import access_pb2 as pb
from digitalhuman.access.v1.access_pb2_grpc import AccessServiceServicer
from services.runtime.callers.caller import current_caller
from services.runtime.failures.errors import ServiceError, invalid
from services.runtime.failures.reasons import Reason
from services.task.access import wire
from services.task.domain.credentials import (
    KEY_PREFIX,
    ONCE_PREFIX,
    TICKET_PREFIX,
    ApiKey,
    Credentials,
    Role,
    Ticket,
    digest_of,
    new_key_id,
    new_secret,
    new_ticket_id,
)
from services.task.domain.tasks import Clock, Task

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_PAGE_SIZE = 100
TICKET_LIFE = timedelta(minutes=15)

FindTask: TypeAlias = Callable[[str], Awaitable[Task]]
"""Raises ServiceError TASK_NOT_FOUND for a task that the current caller does not have."""


class AccessServicer(AccessServiceServicer):
    """Answers calls; failures are raised as ServiceError."""

    def __init__(self, *, credentials: Credentials, find_task: FindTask, clock: Clock) -> None:
        self._credentials = credentials
        self._find_task = find_task
        self._clock = clock

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: Context
    ) -> pb.CreateApiKeyResponse:
        """Make an API key for the caller's tenant."""
        role = wire.from_role(request.role)
        if (role is Role.USER) != bool(request.user_id):
            raise invalid("user_id", "role", "is required for role USER, and for no other")
        now = self._clock()
        lifetime = _lifetime(request, request.lifetime)
        key = ApiKey(
            key_id=new_key_id(now),
            tenant_id=current_caller().tenant_id,
            name=request.name,
            role=role,
            user_id=request.user_id,
            create_time=now,
            expire_time=now + lifetime if lifetime else None,
        )
        secret = new_secret(KEY_PREFIX)
        await self._credentials.add_key(key, digest_of(secret))
        return pb.CreateApiKeyResponse(key=wire.to_key(key), secret=secret)

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, context: Context
    ) -> pb.ListApiKeysResponse:
        """List the API keys of the caller's tenant."""
        size = request.page_size or DEFAULT_PAGE_SIZE
        found = await self._credentials.keys(
            current_caller().tenant_id, before=request.page_token, size=size + 1
        )
        return pb.ListApiKeysResponse(
            keys=[wire.to_key(key) for key in found[:size]],
            next_page_token=found[size - 1].key_id if len(found) > size else "",
        )

    async def RevokeApiKey(
        self, request: pb.RevokeApiKeyRequest, context: Context
    ) -> pb.RevokeApiKeyResponse:
        """Revoke an API key of the caller's tenant."""
        key = await self._credentials.revoke_key(current_caller().tenant_id, request.key_id)
        return pb.RevokeApiKeyResponse(key=wire.to_key(key))

    async def Authenticate(
        self, request: pb.AuthenticateRequest, context: Context
    ) -> pb.AuthenticateResponse:
        """Return who holds a credential that may be used again."""
        found = await self._credentials.find(request.digest)
        return pb.AuthenticateResponse(principal=wire.to_principal(found))

    async def CreateTicket(
        self, request: pb.CreateTicketRequest, context: Context
    ) -> pb.CreateTicketResponse:
        """Make a ticket for a task or a user of the caller's tenant."""
        now = self._clock()
        ticket = Ticket(
            ticket_id=new_ticket_id(now),
            tenant_id=current_caller().tenant_id,
            user_id=await self._user_of(request),
            task_id=request.task_id,
            is_single_use=request.single_use,
            expire_time=now + (_lifetime(request, request.lifetime) or TICKET_LIFE),
        )
        secret = new_secret(ONCE_PREFIX if ticket.is_single_use else TICKET_PREFIX)
        await self._credentials.add_ticket(ticket, digest_of(secret))
        return pb.CreateTicketResponse(secret=secret, principal=wire.to_principal(ticket))

    async def RedeemTicket(
        self, request: pb.RedeemTicketRequest, context: Context
    ) -> pb.RedeemTicketResponse:
        """Return who holds a single-use ticket, and use it up."""
        ticket = await self._credentials.redeem(request.digest)
        return pb.RedeemTicketResponse(principal=wire.to_principal(ticket))

    async def BindTicket(
        self, request: pb.BindTicketRequest, context: Context
    ) -> pb.BindTicketResponse:
        """Bind a ticket to the task that its user has created."""
        await self._credentials.bind(current_caller().tenant_id, request.ticket_id, request.task_id)
        return pb.BindTicketResponse()

    async def RevokeTicket(
        self, request: pb.RevokeTicketRequest, context: Context
    ) -> pb.RevokeTicketResponse:
        """Revoke a ticket of the caller's tenant."""
        await self._credentials.revoke_ticket(current_caller().tenant_id, request.ticket_id)
        return pb.RevokeTicketResponse()

    async def _user_of(self, request: pb.CreateTicketRequest) -> str:
        """Return who will hold a ticket; raises ServiceError if the task is not that user's."""
        if not request.task_id:
            return request.user_id
        task = await self._find_task(request.task_id)
        if request.user_id not in ("", task.user_id):
            raise ServiceError(
                Reason.TASK_NOT_FOUND,
                "task_id: the user has no such task",
                task_id=request.task_id,
            )
        return task.user_id


def _lifetime(
    request: pb.CreateApiKeyRequest | pb.CreateTicketRequest, lifetime: Duration
) -> timedelta | None:
    return lifetime.ToTimedelta() if request.HasField("lifetime") else None
