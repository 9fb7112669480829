"""API keys and tickets are made, found by their digests, limited to their tenants, and end."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from digitalhuman.access.v1 import access_pb2 as pb
from digitalhuman.access.v1.access_pb2_grpc import AccessServiceStub
from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.audit.v1.audit_pb2_grpc import AuditServiceStub
from digitalhuman.task.v1 import task_pb2
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.caller import Caller, to_metadata
from services.runtime.channels.channel import connected
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from tests.support.task import ManualClock

ACME = to_metadata(Caller(tenant_id="acme"))
RIVAL = to_metadata(Caller(tenant_id="rival"))


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def new_key(
    access: AccessServiceStub, metadata: Any = ACME, **fields: Any
) -> pb.CreateApiKeyResponse:
    request = pb.CreateApiKeyRequest(**{"name": "website", "role": pb.ROLE_SERVER, **fields})
    return await access.CreateApiKey(request, metadata=metadata)


async def new_ticket(
    access: AccessServiceStub, metadata: Any = ACME, **fields: Any
) -> pb.CreateTicketResponse:
    return await access.CreateTicket(pb.CreateTicketRequest(**fields), metadata=metadata)


async def holder(access: AccessServiceStub, secret: str) -> pb.Principal:
    found = await access.Authenticate(pb.AuthenticateRequest(digest=digest(secret)))
    return found.principal


async def redeem(access: AccessServiceStub, secret: str) -> pb.Principal:
    found = await access.RedeemTicket(pb.RedeemTicketRequest(digest=digest(secret)))
    return found.principal


async def new_task(tasks: TaskServiceStub, metadata: Any = ACME, **fields: Any) -> str:
    request = task_pb2.CreateTaskRequest(**{"room_id": "room", "stream_id": "stream", **fields})
    return (await tasks.CreateTask(request, metadata=metadata)).task.task_id


def refused(reason: Reason) -> Any:
    return pytest.raises(grpc.aio.AioRpcError, check=lambda error: reason_of(error) is reason)


def reason_of(error: grpc.aio.AioRpcError) -> Reason:
    known: ServiceError = from_rpc_error(error)
    return known.reason


async def test_a_key_is_found_by_its_digest_alone(access: AccessServiceStub) -> None:
    made = await new_key(access)
    assert made.secret.startswith("parley_key_")
    found = await holder(access, made.secret)
    assert (found.tenant_id, found.role, found.name) == ("acme", pb.ROLE_SERVER, "website")
    assert found.credential_id == made.key.key_id
    with refused(Reason.CREDENTIALS_INVALID):
        await holder(access, made.secret + "x")


async def test_keys_are_listed_per_tenant_newest_first(access: AccessServiceStub) -> None:
    made = [(await new_key(access, name=f"key {number}")).key.key_id for number in range(3)]
    await new_key(access, RIVAL)
    first = await access.ListApiKeys(pb.ListApiKeysRequest(page_size=2), metadata=ACME)
    rest = await access.ListApiKeys(
        pb.ListApiKeysRequest(page_size=2, page_token=first.next_page_token), metadata=ACME
    )
    assert [key.key_id for key in (*first.keys, *rest.keys)] == made[::-1]
    assert not rest.next_page_token
    assert not (await access.ListApiKeys(pb.ListApiKeysRequest())).keys


async def test_a_revoked_key_is_refused(access: AccessServiceStub) -> None:
    made = await new_key(access)
    revoke = pb.RevokeApiKeyRequest(key_id=made.key.key_id)
    with refused(Reason.API_KEY_NOT_FOUND):
        await access.RevokeApiKey(revoke, metadata=RIVAL)
    await holder(access, made.secret)
    revoked = await access.RevokeApiKey(revoke, metadata=ACME)
    assert await access.RevokeApiKey(revoke, metadata=ACME) == revoked
    with refused(Reason.CREDENTIALS_INVALID):
        await holder(access, made.secret)


async def test_a_key_expires(access: AccessServiceStub, clock: ManualClock) -> None:
    made = await new_key(access, lifetime=Duration(seconds=60))
    await holder(access, made.secret)
    clock.advance(61)
    with refused(Reason.CREDENTIALS_INVALID):
        await holder(access, made.secret)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"role": pb.ROLE_UNSPECIFIED},
        {"role": pb.ROLE_USER},
        {"user_id": "ada"},
        {"lifetime": Duration(seconds=1)},
    ],
)
async def test_impossible_keys_are_refused(
    access: AccessServiceStub, fields: dict[str, Any]
) -> None:
    with refused(Reason.INVALID_REQUEST):
        await new_key(access, **fields)


async def test_a_ticket_opens_a_task_for_a_while(
    access: AccessServiceStub, tasks: TaskServiceStub, clock: ManualClock
) -> None:
    task_id = await new_task(tasks, user_id="ada")
    made = await new_ticket(access, task_id=task_id, lifetime=Duration(seconds=30))
    assert made.secret.startswith("parley_ticket_")
    for _ in range(2):
        found = await holder(access, made.secret)
        assert (found.tenant_id, found.user_id, found.task_id) == ("acme", "ada", task_id)
        assert found.role == pb.ROLE_USER
    with refused(Reason.CREDENTIALS_INVALID):
        await redeem(access, made.secret)
    clock.advance(31)
    with refused(Reason.CREDENTIALS_INVALID):
        await holder(access, made.secret)


async def test_a_ticket_needs_a_task_of_its_user(
    access: AccessServiceStub, tasks: TaskServiceStub
) -> None:
    task_id = await new_task(tasks, user_id="ada")
    with refused(Reason.TASK_NOT_FOUND):
        await new_ticket(access, task_id=task_id, user_id="bob")
    with refused(Reason.TASK_NOT_FOUND):
        await new_ticket(access, task_id="task_unknown")
    with refused(Reason.INVALID_REQUEST):
        await new_ticket(access)


async def test_a_single_use_ticket_is_used_once_however_many_try(
    access: AccessServiceStub,
) -> None:
    made = await new_ticket(access, user_id="ada", single_use=True)
    assert made.secret.startswith("parley_once_")
    with refused(Reason.CREDENTIALS_INVALID):
        await holder(access, made.secret)
    tries = await asyncio.gather(
        *(redeem(access, made.secret) for _ in range(5)), return_exceptions=True
    )
    assert [each.user_id for each in tries if isinstance(each, pb.Principal)] == ["ada"]
    failed = [each for each in tries if isinstance(each, grpc.aio.AioRpcError)]
    assert {reason_of(each) for each in failed} == {Reason.CREDENTIALS_INVALID}
    assert len(failed) == 4


async def test_a_ticket_is_bound_to_one_task(access: AccessServiceStub) -> None:
    made = await new_ticket(access, user_id="ada")
    ticket_id = made.principal.credential_id
    assert not made.principal.task_id
    with refused(Reason.CREDENTIALS_INVALID):
        await access.BindTicket(pb.BindTicketRequest(ticket_id=ticket_id, task_id="task_1"))
    for _ in range(2):
        await access.BindTicket(
            pb.BindTicketRequest(ticket_id=ticket_id, task_id="task_1"), metadata=ACME
        )
    assert (await holder(access, made.secret)).task_id == "task_1"
    with refused(Reason.CREDENTIALS_INVALID):
        await access.BindTicket(
            pb.BindTicketRequest(ticket_id=ticket_id, task_id="task_2"), metadata=ACME
        )


@pytest.mark.parametrize(("is_single", "show"), [(False, holder), (True, redeem)])
async def test_a_revoked_ticket_is_good_no_more(
    access: AccessServiceStub,
    is_single: bool,
    show: Callable[[AccessServiceStub, str], Awaitable[pb.Principal]],
) -> None:
    kept, made = [await new_ticket(access, user_id="ada", single_use=is_single) for _ in range(2)]
    for ticket, metadata in ((kept, RIVAL), (made, ACME), (made, ACME)):
        request = pb.RevokeTicketRequest(ticket_id=ticket.principal.credential_id)
        await access.RevokeTicket(request, metadata=metadata)
    with refused(Reason.CREDENTIALS_INVALID):
        await show(access, made.secret)
    # Another tenant has no ticket of that id.
    assert (await show(access, kept.secret)).user_id == "ada"


async def test_what_is_done_to_keys_and_tickets_is_audited(
    access: AccessServiceStub, address: str
) -> None:
    metadata = to_metadata(Caller(tenant_id="acme", actor="root"))
    made = await new_key(access, metadata)
    for _ in range(2):
        # The second time, nothing is done.
        request = pb.RevokeApiKeyRequest(key_id=made.key.key_id)
        await access.RevokeApiKey(request, metadata=metadata)
    ticket = await new_ticket(access, metadata, user_id="ann")
    for _ in range(2):
        revoking = pb.RevokeTicketRequest(ticket_id=ticket.principal.credential_id)
        await access.RevokeTicket(revoking, metadata=metadata)
    async with connected(address) as channel:
        stub = AuditServiceStub(channel)
        listed = await stub.ListAuditEntries(audit_pb2.ListAuditEntriesRequest(), metadata=metadata)
        theirs = await stub.ListAuditEntries(audit_pb2.ListAuditEntriesRequest(), metadata=RIVAL)
    assert [(each.action, each.actor) for each in listed.entries] == [
        ("ticket.revoked", "root"),
        ("ticket.created", "root"),
        ("key.revoked", "root"),
        ("key.created", "root"),
    ]
    assert {each.subject for each in listed.entries[2:]} == {made.key.key_id}
    for secret in (made.secret, ticket.secret):
        assert secret not in str(listed)
    assert not theirs.entries
