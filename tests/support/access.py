"""Credentials of every kind, at a gateway over scripted services."""

from dataclasses import dataclass
from typing import Any

import grpc

from digitalhuman.access.v1 import access_pb2 as pb
from digitalhuman.access.v1.access_pb2_grpc import AccessServiceStub
from services.runtime.callers.caller import Caller, to_metadata
from services.runtime.channels.channel import connected
from tests.support.gateway_rig import RunningGateway
from tests.support.gateway_script import SERVICE_TOKEN

CREDENTIALS = ("authorization", f"Bearer {SERVICE_TOKEN}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Makes credentials for a tenant."""

    access: AccessServiceStub
    tenant_id: str

    @property
    def metadata(self) -> Any:
        """What calls for the tenant carry."""
        return (CREDENTIALS, *to_metadata(Caller(tenant_id=self.tenant_id)))

    async def key(self, role: "pb.Role.ValueType", *, user_id: str = "") -> dict[str, str]:
        """Return the headers of a new key's holder."""
        made = await self.new_key(role, user_id=user_id)
        return bearer(made.secret)

    async def new_key(
        self, role: "pb.Role.ValueType", *, user_id: str = ""
    ) -> pb.CreateApiKeyResponse:
        """Return a new key."""
        return await self.access.CreateApiKey(
            pb.CreateApiKeyRequest(name="test", role=role, user_id=user_id),
            metadata=self.metadata,
        )

    async def ticket(self, **fields: Any) -> str:
        """Return a new ticket."""
        made = await self.access.CreateTicket(
            pb.CreateTicketRequest(**fields), metadata=self.metadata
        )
        return made.secret

    async def revoke(self, key_id: str) -> None:
        """Revoke a key."""
        await self.access.RevokeApiKey(
            pb.RevokeApiKeyRequest(key_id=key_id), metadata=self.metadata
        )


def bearer(secret: str) -> dict[str, str]:
    """Return the headers of whoever holds a secret."""
    return {"authorization": f"Bearer {secret}"}


def issuer(channel: grpc.aio.Channel, tenant_id: str) -> Issuer:
    """Return what makes a tenant's credentials."""
    return Issuer(access=AccessServiceStub(channel), tenant_id=tenant_id)


def channel_to(gateway: RunningGateway) -> Any:
    """Open a channel to the services behind a gateway."""
    return connected(gateway.services_address)
