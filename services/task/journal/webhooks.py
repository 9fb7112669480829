"""Webhooks in the journal's database, their keys and their dead letters."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.audit import Deed
from services.task.domain.usage import Position
from services.task.journal import audit, deliveries
from services.task.journal.database import Database, Transaction
from services.task.journal.outbox import webhook_from_row
from services.task.journal.rows import (
    MICROSECOND,
    Row,
    from_micros,
    places,
    to_micros,
)
from services.task.webhooks.ports import NEWS
from services.task.webhooks.webhook import (
    DEAD_LETTERS_KEPT,
    GIVE_UP_AFTER,
    MOST_WEBHOOKS,
    DeadLetter,
    Delivery,
    Failed,
    Receiver,
    StoredKey,
    Webhook,
)


class SqlWebhooks:
    """Keeps webhooks, and what each is to be told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, webhook: Webhook, key: StoredKey, deed: Deed) -> None:
        """Add a webhook with its first key."""

        async def work(transaction: Transaction) -> None:
            await transaction.lock(f"webhooks {webhook.tenant_id}")
            rows = await transaction.fetch(
                "SELECT webhook_id FROM webhooks WHERE tenant_id = $1", webhook.tenant_id
            )
            if len(rows) >= MOST_WEBHOOKS:
                raise ServiceError(
                    Reason.WEBHOOK_LIMIT_REACHED,
                    f"There are {len(rows)} webhooks, and no more are allowed.",
                )
            await transaction.execute(
                "INSERT INTO webhooks"
                " (webhook_id, tenant_id, url, description, event_types, create_time)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                webhook.webhook_id,
                webhook.tenant_id,
                webhook.url,
                webhook.description,
                " ".join(each.value for each in webhook.event_types),
                to_micros(webhook.create_time),
            )
            await _insert_key(transaction, webhook.webhook_id, key)
            await audit.note(transaction, deed)

        await self._database.transact(work)

    async def of_tenant(self, tenant_id: str) -> Sequence[Receiver]:
        """Return the webhooks of a tenant, the oldest first."""

        async def work(transaction: Transaction) -> Sequence[Receiver]:
            rows = await transaction.fetch(
                "SELECT * FROM webhooks WHERE tenant_id = $1 ORDER BY create_time, webhook_id",
                tenant_id,
            )
            return [await _receiver(transaction, row) for row in rows]

        return await self._database.read(work)

    async def get(self, tenant_id: str, webhook_id: str) -> Receiver:
        """Return a webhook of a tenant."""

        async def work(transaction: Transaction) -> Receiver:
            return await _receiver(transaction, await _row(transaction, tenant_id, webhook_id))

        return await self._database.read(work)

    async def remove(self, tenant_id: str, webhook_id: str, deed: Deed) -> None:
        """Remove a webhook with all that it was to be told."""

        async def work(transaction: Transaction) -> None:
            await _row(transaction, tenant_id, webhook_id)
            for table in ("webhook_deliveries", "webhook_keys", "webhooks"):
                await transaction.execute(f"DELETE FROM {table} WHERE webhook_id = $1", webhook_id)
            await audit.note(transaction, deed)

        await self._database.transact(work)

    async def add_key(
        self, tenant_id: str, webhook_id: str, key: StoredKey, *, until: datetime, deed: Deed
    ) -> None:
        """Add a key; those that there are sign `until` a time at the latest."""

        async def work(transaction: Transaction) -> None:
            await _row(transaction, tenant_id, webhook_id)
            await transaction.execute(
                "UPDATE webhook_keys SET expire_time = $2"
                " WHERE webhook_id = $1 AND (expire_time IS NULL OR expire_time > $2)",
                webhook_id,
                to_micros(until),
            )
            await _insert_key(transaction, webhook_id, key)
            await audit.note(transaction, deed)

        await self._database.transact(work)

    async def due(self, replica_id: str) -> Sequence[str]:
        """Return the webhooks with a delivery that this replica may take."""
        return await self._database.read(partial(deliveries.due, replica_id=replica_id))

    async def take(
        self, webhook_id: str, replica_id: str, *, limit: int, busy: Collection[str] = ()
    ) -> tuple[Receiver, Sequence[Delivery]] | None:
        """Take some of a webhook's deliveries that are due: of each task, the first."""

        async def work(transaction: Transaction) -> tuple[Receiver, Sequence[Delivery]] | None:
            row = await transaction.fetch_one(
                "SELECT * FROM webhooks WHERE webhook_id = $1", webhook_id
            )
            if row is None:
                return None
            receiver = await _receiver(transaction, row)
            return receiver, await deliveries.take(
                transaction, webhook_id, replica_id, limit=limit, busy=busy
            )

        return await self._database.transact(work)

    async def settle(
        self, replica_id: str, *, delivered: Sequence[Delivery], failed: Sequence[Failed]
    ) -> Sequence[Failed]:
        """Record what became of deliveries, and return those that will not be tried again."""
        return await self._database.transact(
            partial(deliveries.settle, replica_id=replica_id, delivered=delivered, failed=failed)
        )

    async def dead_letters(
        self, tenant_id: str, webhook_id: str, *, after: Position | None, size: int
    ) -> Sequence[DeadLetter]:
        """Return up to `size` dead letters of a webhook after a position, the oldest first."""

        async def work(transaction: Transaction) -> Sequence[DeadLetter]:
            await _row(transaction, tenant_id, webhook_id)
            rows = await transaction.fetch(
                "SELECT * FROM webhook_deliveries WHERE webhook_id = $1 AND is_dead = 1"
                " AND (time, event_id) > ($2, $3) ORDER BY time, event_id LIMIT $4",
                webhook_id,
                to_micros(after.time) if after else 0,
                after.key if after else "",
                size,
            )
            return [_dead_letter(row) for row in rows]

        return await self._database.read(work)

    async def replay(
        self, tenant_id: str, webhook_id: str, event_ids: Collection[str], deed: Deed
    ) -> int:
        """Have dead letters delivered anew, all if none are named; return how many they are."""
        named = f" AND event_id IN ({places(event_ids, first=3)})" if event_ids else ""

        async def work(transaction: Transaction) -> int:
            await _row(transaction, tenant_id, webhook_id)
            replayed = await transaction.fetch(
                "UPDATE webhook_deliveries SET is_dead = 0, attempts = 0, failure = '',"
                " next_time = now_micros(), give_up_time = now_micros() + $2"
                f" WHERE webhook_id = $1 AND is_dead = 1{named} RETURNING event_id",
                webhook_id,
                GIVE_UP_AFTER // MICROSECOND,
                *event_ids,
            )
            await audit.note(transaction, deed)
            transaction.announce(NEWS)
            return len(replayed)

        return await self._database.transact(work)

    async def clean(self) -> None:
        """Remove old dead letters, expired keys and what belongs to no webhook."""

        async def work(transaction: Transaction) -> None:
            now = await deliveries.now_micros(transaction)
            await transaction.execute(
                "DELETE FROM webhook_deliveries WHERE give_up_time < $1",
                now - DEAD_LETTERS_KEPT // MICROSECOND,
            )
            await transaction.execute("DELETE FROM webhook_keys WHERE expire_time <= $1", now)
            await transaction.execute(
                "DELETE FROM quota_warnings WHERE renew_time > 0 AND renew_time <= $1", now
            )

        await self._database.transact(work)


async def _row(transaction: Transaction, tenant_id: str, webhook_id: str) -> Row:
    row = await transaction.fetch_one(
        "SELECT * FROM webhooks WHERE webhook_id = $1 AND tenant_id = $2", webhook_id, tenant_id
    )
    if row is None:
        raise ServiceError(
            Reason.WEBHOOK_NOT_FOUND,
            "webhook_id: there is no such webhook",
            webhook_id=webhook_id,
        )
    return row


async def _receiver(transaction: Transaction, row: Row) -> Receiver:
    webhook = webhook_from_row(row)
    keys = await transaction.fetch(
        "SELECT * FROM webhook_keys WHERE webhook_id = $1"
        " AND (expire_time IS NULL OR expire_time > now_micros())"
        " ORDER BY create_time DESC, key_id",
        webhook.webhook_id,
    )
    return Receiver(webhook=webhook, keys=tuple(map(_key, keys)))


def _key(row: Row) -> StoredKey:
    expires = row["expire_time"]
    return StoredKey(
        key_id=row["key_id"],
        secret=row["secret"],
        create_time=from_micros(row["create_time"]),
        expire_time=None if expires is None else from_micros(expires),
    )


async def _insert_key(transaction: Transaction, webhook_id: str, key: StoredKey) -> None:
    await transaction.execute(
        "INSERT INTO webhook_keys (key_id, webhook_id, secret, create_time)"
        " VALUES ($1, $2, $3, $4)",
        key.key_id,
        webhook_id,
        key.secret,
        to_micros(key.create_time),
    )


def _dead_letter(row: Row) -> DeadLetter:
    return DeadLetter(
        webhook_id=row["webhook_id"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        task_id=row["task_id"],
        time=from_micros(row["time"]),
        attempts=row["attempts"],
        failure=row["failure"],
    )
