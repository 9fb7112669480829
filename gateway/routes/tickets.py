"""The endpoints of a tenant's server: tickets for its users' browsers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from digitalhuman.access.v1 import access_pb2 as pb
from gateway.backend.services import Backend
from gateway.contract.bodies import TicketBody
from gateway.contract.constraints import constraints
from gateway.contract.content_type import requires_json
from gateway.contract.models import Done, TicketAnswer
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.problems import refused
from gateway.contract.wire import from_ticket, to_duration
from services.runtime.failures.reasons import Reason


class TicketRoutes:
    """Issues and revokes tickets."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(
            prefix="/api/digital-human",
            tags=["access"],
            dependencies=[Depends(requires_single)],
        )
        router.post(
            "/tickets",
            summary="Make a ticket for a browser",
            response_model_exclude_none=True,
            dependencies=[Depends(requires_json)],
            responses=failures(
                Reason.INVALID_REQUEST,
                Reason.MALFORMED_MESSAGE,
                Reason.MEDIA_TYPE_UNSUPPORTED,
                Reason.TASK_NOT_FOUND,
            ),
        )(self.create_ticket)
        router.delete(
            "/tickets/{ticketId}",
            summary="Revoke a ticket",
            responses=failures(Reason.INVALID_REQUEST),
        )(self.revoke_ticket)
        return router

    async def create_ticket(self, body: TicketBody) -> TicketAnswer:
        """Make a short-lived credential that opens one task, or lets a user create it."""
        if not (body.task_id or body.user_id):
            raise refused(
                Reason.INVALID_REQUEST, "taskId", "required", "is required unless there is a userId"
            )
        made = await self._backend.ask(
            self._backend.access.CreateTicket,
            pb.CreateTicketRequest(
                task_id=body.task_id,
                user_id=body.user_id,
                lifetime=to_duration(body.expires_in_seconds),
                single_use=body.single_use,
            ),
        )
        return from_ticket(made, single_use=body.single_use)

    async def revoke_ticket(
        self,
        ticket_id: Annotated[
            str,
            Path(
                alias="ticketId",
                json_schema_extra=constraints(pb.RevokeTicketRequest, "ticket_id"),
            ),
        ],
    ) -> Done:
        """Revoke a ticket, if there is one. Within seconds, no gateway lets it in."""
        await self._backend.ask(
            self._backend.access.RevokeTicket, pb.RevokeTicketRequest(ticket_id=ticket_id)
        )
        return Done(message="Ticket revoked")
