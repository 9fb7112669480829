"""The messages of the access contract to credentials, and back."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.access.v1 import access_pb2 as pb
from services.runtime.wire import to_timestamp
from services.task.domain.credentials import ApiKey, Role, Ticket


def from_role(role: "pb.Role.ValueType") -> Role:
    """Return a role that is set."""
    return Role(pb.Role.Name(role).removeprefix("ROLE_"))


def to_key(key: ApiKey) -> pb.ApiKey:
    """Return a key as callers see it."""
    return pb.ApiKey(
        key_id=key.key_id,
        name=key.name,
        role=_to_role(key.role),
        user_id=key.user_id,
        create_time=_to_time(key.create_time),
        expire_time=_to_time(key.expire_time),
        revoke_time=_to_time(key.revoke_time),
    )


def to_principal(credential: ApiKey | Ticket) -> pb.Principal:
    """Return who holds a credential. A ticket is its user's."""
    if isinstance(credential, Ticket):
        return pb.Principal(
            credential_id=credential.ticket_id,
            tenant_id=credential.tenant_id,
            user_id=credential.user_id,
            role=pb.ROLE_USER,
            task_id=credential.task_id,
            expire_time=_to_time(credential.expire_time),
        )
    return pb.Principal(
        credential_id=credential.key_id,
        tenant_id=credential.tenant_id,
        user_id=credential.user_id,
        role=_to_role(credential.role),
        name=credential.name,
        expire_time=_to_time(credential.expire_time),
    )


def _to_role(role: Role) -> "pb.Role.ValueType":
    return pb.Role.Value(f"ROLE_{role}")


def _to_time(time: datetime | None) -> Timestamp | None:
    return to_timestamp(time.timestamp()) if time else None
