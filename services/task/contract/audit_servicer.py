"""The gRPC contract of the audit log."""

from typing import Any, TypeAlias

import grpc

from digitalhuman.audit.v1 import audit_pb2 as pb
from digitalhuman.audit.v1.audit_pb2_grpc import AuditServiceServicer
from services.runtime.failures.errors import invalid
from services.runtime.wire import to_timestamp
from services.task.domain.audit import Action, AuditFilter, AuditLog, Entry
from services.task.whole_tenant import whole_tenant

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_PAGE_SIZE = 100
_LARGEST = 2**63 - 1


class AuditServicer(AuditServiceServicer):
    """Answers calls; failures are raised as ServiceError."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        """Return what was done in the caller's tenant, the newest first."""
        size = request.page_size or DEFAULT_PAGE_SIZE
        wanted = AuditFilter(
            tenant_id=whole_tenant(),
            actor=request.actor,
            action=request.action,
            subject=request.subject,
        )
        # One more than fits the page shows whether another follows.
        found = await self._audit.page(wanted, before=_position(request.page_token), size=size + 1)
        return pb.ListAuditEntriesResponse(
            entries=map(_to_entry, found[:size]),
            next_page_token=str(found[size - 1].number) if len(found) > size else "",
        )

    async def NoteUserExport(
        self, request: pb.NoteUserExportRequest, context: Context
    ) -> pb.NoteUserExportResponse:
        """Note that the caller gives out what is kept of a user."""
        whole_tenant()
        # Who it was would outlast an erasure here.
        await self._audit.note(Action.USER_EXPORTED, "")
        return pb.NoteUserExportResponse()


def _position(token: str) -> int | None:
    if not token:
        return None
    if token.isascii() and token.isdigit() and int(token) <= _LARGEST:
        return int(token)
    raise invalid("page_token", "page_token", "it is not a `next_page_token`")


def _to_entry(entry: Entry) -> pb.AuditEntry:
    return pb.AuditEntry(
        number=entry.number,
        time=to_timestamp(entry.time.timestamp()),
        actor=entry.actor,
        user_id=entry.user_id,
        action=entry.action,
        subject=entry.subject,
        request_id=entry.request_id,
    )
