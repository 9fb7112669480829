"""The endpoints of webhooks and of the audit log, for operators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from google.protobuf.duration_pb2 import Duration

from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.webhooks.v1 import webhooks_pb2 as pb
from gateway.backend.services import Backend
from gateway.contract.constraints import constraints
from gateway.contract.content_type import requires_json
from gateway.contract.fields import Text
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.webhooks import (
    AddWebhookBody,
    AuditEntries,
    DeadLetters,
    ReplayBody,
    Replayed,
    RotateKeyBody,
    WebhookRemoved,
    Webhooks,
    WebhookTest,
    WebhookWithSecret,
    from_audit_entry,
    from_dead_letter,
    from_webhook,
)
from services.runtime.failures.reasons import Reason

LARGEST_PAGE = 1000
CREATED = 201

WebhookIdInPath = Annotated[
    Text,
    Path(alias="webhookId", json_schema_extra=constraints(pb.TestWebhookRequest, "webhook_id")),
]
PageSize = Annotated[int, Query(alias="pageSize", ge=1, le=LARGEST_PAGE)]


class WebhookRoutes:
    """Manages webhooks, and lists who did what."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(
            prefix="/api/digital-human",
            tags=["operations"],
            dependencies=[Depends(requires_single)],
        )
        json_only = Depends(requires_json)
        router.get(
            "/webhooks",
            summary="List webhooks",
            response_model_exclude_none=True,
            responses=failures(),
        )(self.list_webhooks)
        router.post(
            "/webhooks",
            summary="Add a webhook",
            status_code=CREATED,
            response_model_exclude_none=True,
            dependencies=[json_only],
            responses=failures(
                Reason.INVALID_REQUEST,
                Reason.MEDIA_TYPE_UNSUPPORTED,
                Reason.WEBHOOK_LIMIT_REACHED,
            ),
        )(self.add_webhook)
        router.delete(
            "/webhooks/{webhookId}",
            summary="Remove a webhook",
            responses=failures(Reason.WEBHOOK_NOT_FOUND),
        )(self.remove_webhook)
        router.post(
            "/webhooks/{webhookId}/rotate-key",
            summary="Give a webhook another secret",
            response_model_exclude_none=True,
            dependencies=[json_only],
            responses=failures(
                Reason.INVALID_REQUEST, Reason.MEDIA_TYPE_UNSUPPORTED, Reason.WEBHOOK_NOT_FOUND
            ),
        )(self.rotate_key)
        router.post(
            "/webhooks/{webhookId}/test",
            summary="Try a webhook out",
            response_model_exclude_none=True,
            responses=failures(Reason.WEBHOOK_NOT_FOUND),
        )(self.test_webhook)
        router.get(
            "/webhooks/{webhookId}/dead-letters",
            summary="List what could not be delivered to a webhook",
            response_model_exclude_none=True,
            responses=failures(Reason.INVALID_REQUEST, Reason.WEBHOOK_NOT_FOUND),
        )(self.list_dead_letters)
        router.post(
            "/webhooks/{webhookId}/dead-letters/replay",
            summary="Deliver dead letters anew",
            dependencies=[json_only],
            responses=failures(
                Reason.INVALID_REQUEST, Reason.MEDIA_TYPE_UNSUPPORTED, Reason.WEBHOOK_NOT_FOUND
            ),
        )(self.replay)
        router.get(
            "/audit",
            summary="List who did what",
            response_model_exclude_none=True,
            responses=failures(Reason.INVALID_REQUEST),
        )(self.list_audit)
        return router

    async def list_webhooks(self) -> Webhooks:
        """Return all webhooks, the oldest first, without their secrets."""
        found = await self._backend.ask(
            self._backend.webhooks.ListWebhooks, pb.ListWebhooksRequest()
        )
        return Webhooks(webhooks=[from_webhook(each) for each in found.webhooks])

    async def add_webhook(self, body: AddWebhookBody) -> WebhookWithSecret:
        """Add a webhook; its secret is shown here and never again."""
        added = await self._backend.ask(
            self._backend.webhooks.AddWebhook,
            pb.AddWebhookRequest(
                url=body.url, description=body.description, event_types=body.event_types
            ),
        )
        return WebhookWithSecret(webhook=from_webhook(added.webhook), secret=added.secret)

    async def remove_webhook(self, webhook_id: WebhookIdInPath) -> WebhookRemoved:
        """Remove a webhook, with every event that was still to be delivered to it."""
        await self._backend.ask(
            self._backend.webhooks.RemoveWebhook, pb.RemoveWebhookRequest(webhook_id=webhook_id)
        )
        return WebhookRemoved()

    async def rotate_key(
        self, webhook_id: WebhookIdInPath, body: RotateKeyBody
    ) -> WebhookWithSecret:
        """Sign with a new secret, and with the former ones until the overlap is over."""
        rotated = await self._backend.ask(
            self._backend.webhooks.RotateWebhookKey,
            pb.RotateWebhookKeyRequest(
                webhook_id=webhook_id, overlap=Duration(seconds=body.overlap)
            ),
        )
        return WebhookWithSecret(webhook=from_webhook(rotated.webhook), secret=rotated.secret)

    async def test_webhook(self, webhook_id: WebhookIdInPath) -> WebhookTest:
        """Send an event of type `webhook.test` now, once."""
        tried = await self._backend.ask(
            self._backend.webhooks.TestWebhook, pb.TestWebhookRequest(webhook_id=webhook_id)
        )
        return WebhookTest(delivered=not tried.failure, failure=tried.failure or None)

    async def list_dead_letters(
        self,
        webhook_id: WebhookIdInPath,
        page_size: PageSize = 100,
        page_token: Annotated[
            str,
            Query(
                alias="pageToken",
                json_schema_extra=constraints(pb.ListDeadLettersRequest, "page_token"),
            ),
        ] = "",
    ) -> DeadLetters:
        """Return the events that could not be delivered for a day, the oldest first."""
        found = await self._backend.ask(
            self._backend.webhooks.ListDeadLetters,
            pb.ListDeadLettersRequest(
                webhook_id=webhook_id, page_size=page_size, page_token=page_token
            ),
        )
        return DeadLetters(
            dead_letters=[from_dead_letter(each) for each in found.dead_letters],
            next_page_token=found.next_page_token or None,
        )

    async def replay(self, webhook_id: WebhookIdInPath, body: ReplayBody) -> Replayed:
        """Deliver dead letters anew, for another day."""
        replayed = await self._backend.ask(
            self._backend.webhooks.ReplayDeadLetters,
            pb.ReplayDeadLettersRequest(webhook_id=webhook_id, event_ids=body.event_ids),
        )
        return Replayed(replayed=replayed.replayed)

    async def list_audit(
        self,
        actor: Annotated[
            Text,
            Query(json_schema_extra=constraints(audit_pb2.ListAuditEntriesRequest, "actor")),
        ] = "",
        action: Annotated[
            Text,
            Query(json_schema_extra=constraints(audit_pb2.ListAuditEntriesRequest, "action")),
        ] = "",
        subject: Annotated[
            Text,
            Query(json_schema_extra=constraints(audit_pb2.ListAuditEntriesRequest, "subject")),
        ] = "",
        page_size: PageSize = 100,
        page_token: Annotated[
            str,
            Query(
                alias="pageToken",
                json_schema_extra=constraints(audit_pb2.ListAuditEntriesRequest, "page_token"),
            ),
        ] = "",
    ) -> AuditEntries:
        """Return who did what, the newest first."""
        found = await self._backend.ask(
            self._backend.audit.ListAuditEntries,
            audit_pb2.ListAuditEntriesRequest(
                actor=actor,
                action=action,
                subject=subject,
                page_size=page_size,
                page_token=page_token,
            ),
        )
        return AuditEntries(
            entries=[from_audit_entry(each) for each in found.entries],
            next_page_token=found.next_page_token or None,
        )
