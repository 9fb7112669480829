"""The gRPC contract of webhooks."""

import secrets
from datetime import timedelta
from typing import Any, TypeAlias

import grpc

from digitalhuman.webhooks.v1 import webhooks_pb2 as pb
from digitalhuman.webhooks.v1.webhooks_pb2_grpc import WebhookServiceServicer
from services.runtime.network.public_network import PublicNetwork
from services.runtime.security.vault import Vault
from services.runtime.wire import from_duration
from services.task.domain.audit import Action, deed
from services.task.domain.tasks import Clock
from services.task.webhooks import wire
from services.task.webhooks.address import check_url
from services.task.webhooks.bodies import test_body
from services.task.webhooks.courier import Courier
from services.task.webhooks.ports import WebhookStore
from services.task.webhooks.signature import SigningKey, new_key
from services.task.webhooks.webhook import Receiver, StoredKey, Webhook, event_id, from_names
from services.task.whole_tenant import whole_tenant

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_PAGE_SIZE = 100
DEFAULT_OVERLAP = timedelta(hours=24)


class WebhookServicer(WebhookServiceServicer):
    """Answers calls; failures are raised as ServiceError."""

    def __init__(
        self,
        *,
        store: WebhookStore,
        courier: Courier,
        network: PublicNetwork,
        vault: Vault,
        clock: Clock,
    ) -> None:
        self._store = store
        self._courier = courier
        self._network = network
        self._vault = vault
        self._clock = clock

    async def AddWebhook(
        self, request: pb.AddWebhookRequest, context: Context
    ) -> pb.AddWebhookResponse:
        """Add a webhook."""
        webhook = Webhook(
            webhook_id=f"whk_{secrets.token_hex(12)}",
            tenant_id=whole_tenant(),
            url=check_url(request.url, self._network),
            description=request.description,
            event_types=from_names(request.event_types),
            create_time=self._clock(),
        )
        key = new_key()
        stored = self._stored(key)
        await self._store.add(webhook, stored, deed(Action.WEBHOOK_ADDED, webhook.webhook_id))
        added = Receiver(webhook=webhook, keys=(stored,))
        return pb.AddWebhookResponse(webhook=wire.to_webhook(added), secret=key.text)

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: Context
    ) -> pb.ListWebhooksResponse:
        """Return all webhooks."""
        found = await self._store.of_tenant(whole_tenant())
        return pb.ListWebhooksResponse(webhooks=map(wire.to_webhook, found))

    async def RemoveWebhook(
        self, request: pb.RemoveWebhookRequest, context: Context
    ) -> pb.RemoveWebhookResponse:
        """Remove a webhook."""
        await self._store.remove(
            whole_tenant(),
            request.webhook_id,
            deed(Action.WEBHOOK_REMOVED, request.webhook_id),
        )
        return pb.RemoveWebhookResponse()

    async def RotateWebhookKey(
        self, request: pb.RotateWebhookKeyRequest, context: Context
    ) -> pb.RotateWebhookKeyResponse:
        """Give a webhook another secret."""
        tenant_id, key = whole_tenant(), new_key()
        overlap = (
            timedelta(seconds=from_duration(request.overlap))
            if request.HasField("overlap")
            else DEFAULT_OVERLAP
        )
        await self._store.add_key(
            tenant_id,
            request.webhook_id,
            self._stored(key),
            until=self._clock() + overlap,
            deed=deed(Action.WEBHOOK_KEY_ROTATED, request.webhook_id),
        )
        rotated = await self._store.get(tenant_id, request.webhook_id)
        return pb.RotateWebhookKeyResponse(webhook=wire.to_webhook(rotated), secret=key.text)

    async def TestWebhook(
        self, request: pb.TestWebhookRequest, context: Context
    ) -> pb.TestWebhookResponse:
        """Send an event to try a webhook out."""
        receiver = await self._store.get(whole_tenant(), request.webhook_id)
        name = event_id("test", secrets.token_hex(16))
        body = test_body(receiver.webhook, event_id=name, now=self._clock())
        failure = await self._courier.send(receiver, event_id=name, body=body)
        return pb.TestWebhookResponse(failure=failure)

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Context
    ) -> pb.ListDeadLettersResponse:
        """Return the events that a webhook could not be told."""
        size = request.page_size or DEFAULT_PAGE_SIZE
        # One more than fits the page shows whether another follows.
        found = await self._store.dead_letters(
            whole_tenant(),
            request.webhook_id,
            after=wire.from_page_token(request.page_token),
            size=size + 1,
        )
        return pb.ListDeadLettersResponse(
            dead_letters=map(wire.to_dead_letter, found[:size]),
            next_page_token=wire.to_page_token(found[size - 1]) if len(found) > size else "",
        )

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, context: Context
    ) -> pb.ReplayDeadLettersResponse:
        """Have dead letters delivered anew."""
        replayed = await self._store.replay(
            whole_tenant(),
            request.webhook_id,
            tuple(request.event_ids),
            deed(Action.DEAD_LETTERS_REPLAYED, request.webhook_id),
        )
        return pb.ReplayDeadLettersResponse(replayed=replayed)

    def _stored(self, key: SigningKey) -> StoredKey:
        return StoredKey(
            key_id=key.key_id, secret=self._vault.seal(key.secret), create_time=self._clock()
        )
