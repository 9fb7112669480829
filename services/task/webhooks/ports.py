"""What webhooks need of storage."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from services.task.domain.audit import Deed
from services.task.domain.usage import Position
from services.task.webhooks.webhook import (
    DeadLetter,
    Delivery,
    Failed,
    Receiver,
    StoredKey,
    Webhook,
)

NEWS = "webhooks"
"""What watchers of the notifier watch, in place of a task, to learn of more to deliver."""


class WebhookStore(Protocol):
    """Keeps webhooks, and what each is to be told. Every method is one transaction.

    A webhook that the tenant does not have is a ServiceError with WEBHOOK_NOT_FOUND. Times are
    those of the database's clock.
    """

    async def add(self, webhook: Webhook, key: StoredKey, deed: Deed) -> None:
        """Add a webhook with its first key. Raises ServiceError with WEBHOOK_LIMIT_REACHED."""

    async def of_tenant(self, tenant_id: str) -> Sequence[Receiver]:
        """Return the webhooks of a tenant, the oldest first."""

    async def get(self, tenant_id: str, webhook_id: str) -> Receiver:
        """Return a webhook of a tenant."""

    async def remove(self, tenant_id: str, webhook_id: str, deed: Deed) -> None:
        """Remove a webhook with all that it was to be told."""

    async def add_key(
        self, tenant_id: str, webhook_id: str, key: StoredKey, *, until: datetime, deed: Deed
    ) -> None:
        """Add a key; those that there are sign `until` a time at the latest."""

    async def due(self, replica_id: str) -> Sequence[str]:
        """Return the webhooks with a delivery that this replica may take."""

    async def take(
        self, webhook_id: str, replica_id: str, *, limit: int, busy: Collection[str] = ()
    ) -> tuple[Receiver, Sequence[Delivery]] | None:
        """Take some of a webhook's deliveries that are due: of each task, the first.

        What this replica has taken and not settled, it takes again, unless it is `busy` with that
        event; what another replica that is alive has taken, it does not. What has been erased
        meanwhile is not told. None when there is no such webhook any more.
        """

    async def settle(
        self, replica_id: str, *, delivered: Sequence[Delivery], failed: Sequence[Failed]
    ) -> Sequence[Failed]:
        """Record what became of deliveries, and return those that will not be tried again.

        What another replica has taken over is left to it.
        """

    async def dead_letters(
        self, tenant_id: str, webhook_id: str, *, after: Position | None, size: int
    ) -> Sequence[DeadLetter]:
        """Return up to `size` dead letters of a webhook after a position, the oldest first.

        A position is that of a letter's time and event.
        """

    async def replay(
        self, tenant_id: str, webhook_id: str, event_ids: Collection[str], deed: Deed
    ) -> int:
        """Have dead letters delivered anew, all if none are named; return how many they are."""

    async def clean(self) -> None:
        """Remove old dead letters, expired keys and what belongs to no webhook."""
