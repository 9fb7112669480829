"""What is still to be sent to webhooks, within one transaction: that of the event itself.

What was said is not copied: a delivery leads to its event in the log, and is rendered when it is
sent. What has been erased by then is not sent.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import assert_never

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from services.runtime.failures.errors import from_status
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import (
    ConversationEvent,
    ReplyUpdated,
    TurnClosed,
    TurnStarted,
)
from services.task.domain.tasks import Task, TaskState
from services.task.journal.database import Transaction
from services.task.journal.rows import MICROSECOND, Row, from_micros, places, to_micros
from services.task.webhooks.ports import NEWS
from services.task.webhooks.webhook import (
    GIVE_UP_AFTER,
    EventType,
    QuotaUse,
    Webhook,
    event_id,
    from_names,
)

_PROVIDER_FAILURES = frozenset(
    {
        Reason.RECOGNITION_UNAVAILABLE,
        Reason.CHAT_UNAVAILABLE,
        Reason.SYNTHESIS_UNAVAILABLE,
        Reason.PROVIDER_QUOTA_EXCEEDED,
        Reason.PROVIDER_MISCONFIGURED,
    }
)
# Behind a delivery that waits, the others of its lane wait as long.
_INSERT = (
    "INSERT INTO webhook_deliveries (webhook_id, event_id, event_type, lane, task_id, sequence,"
    " content, time, give_up_time, next_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8,"
    f" now_micros() + {GIVE_UP_AFTER // MICROSECOND},"
    " coalesce((SELECT max(next_time) FROM webhook_deliveries"
    "  WHERE webhook_id = $1 AND lane = $4 AND is_dead = 0), now_micros()))"
    " ON CONFLICT (webhook_id, event_id) DO NOTHING"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event for a tenant's webhooks; those of a lane arrive in order."""

    tenant_id: str
    event_id: str
    event_type: EventType
    lane: str
    task_id: str = ""
    sequence: int = 0
    content: bytes = b""


def of_state(task: Task, sequence: int) -> Sequence[Notice]:
    """Return the events of a task that has come to its state."""
    if task.state is TaskState.STREAMING:
        return [_of_task(task, sequence, EventType.TASK_ON_AIR)]
    if task.state.is_final:
        return [_of_task(task, sequence, EventType.TASK_ENDED)]
    return []


def of_conversation(task: Task, sequence: int, event: ConversationEvent) -> Sequence[Notice]:
    """Return the events for webhooks of an event of a task's conversation."""
    match event.change:
        case TurnClosed(failure=b"", is_interrupted=is_interrupted):
            kind = EventType.TURN_INTERRUPTED if is_interrupted else EventType.TURN_FINISHED
            return [_of_task(task, sequence, kind)]
        case TurnClosed(failure=failure):
            kinds = [EventType.TURN_FAILED]
            if _reason(failure) in _PROVIDER_FAILURES:
                kinds.append(EventType.PROVIDER_FAILED)
            return [_of_task(task, sequence, kind) for kind in kinds]
        case TurnStarted() | ReplyUpdated() | None:
            return []
        case unknown:
            assert_never(unknown)


async def enqueue(transaction: Transaction, notices: Iterable[Notice], *, now: datetime) -> None:
    """Have events delivered to those webhooks of their tenants that want them."""
    wanted = list(notices)
    if not wanted:
        return
    tenants = {each.tenant_id for each in wanted}
    webhooks = [
        webhook_from_row(row)
        for row in await transaction.fetch(
            f"SELECT * FROM webhooks WHERE tenant_id IN ({places(tenants)})", *tenants
        )
    ]
    rows = [
        (
            webhook.webhook_id,
            notice.event_id,
            notice.event_type.value,
            notice.lane,
            notice.task_id,
            notice.sequence,
            notice.content,
            to_micros(now),
        )
        for notice in wanted
        for webhook in webhooks
        if webhook.tenant_id == notice.tenant_id
        and (not webhook.event_types or notice.event_type in webhook.event_types)
    ]
    if rows:
        await transaction.execute_many(_INSERT, rows)
        transaction.announce(NEWS)


async def enqueue_quota(
    transaction: Transaction, tenant_id: str, use: QuotaUse, *, now: datetime
) -> None:
    """Have a tenant notified once in a period that a quota is nearly used up."""
    renewed = 0 if use.renew_time is None else to_micros(use.renew_time)
    first = await transaction.fetch(
        "INSERT INTO quota_warnings (tenant_id, kind, user_id, renew_time) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING kind",
        tenant_id,
        use.kind,
        use.user_id,
        renewed,
    )
    if not first:
        return
    name = event_id(EventType.QUOTA_NEAR, tenant_id, use.kind, use.user_id, renewed)
    notice = Notice(
        tenant_id=tenant_id,
        event_id=name,
        event_type=EventType.QUOTA_NEAR,
        lane=name,
        content=json.dumps({**asdict(use), "renew_time": renewed or None}).encode(),
    )
    await enqueue(transaction, [notice], now=now)


def quota_from_content(content: bytes) -> QuotaUse:
    """Return the use of a quota that a delivery holds."""
    fields = json.loads(content)
    renewed = fields.pop("renew_time")
    return QuotaUse(**fields, renew_time=None if renewed is None else from_micros(renewed))


def webhook_from_row(row: Row) -> Webhook:
    """Return the webhook of a row."""
    return Webhook(
        webhook_id=row["webhook_id"],
        tenant_id=row["tenant_id"],
        url=row["url"],
        description=row["description"],
        event_types=from_names(row["event_types"].split()),
        create_time=from_micros(row["create_time"]),
    )


def _of_task(task: Task, sequence: int, kind: EventType) -> Notice:
    return Notice(
        tenant_id=task.tenant_id,
        event_id=event_id(task.task_id, sequence, kind),
        event_type=kind,
        lane=task.task_id,
        task_id=task.task_id,
        sequence=sequence,
    )


def _reason(failure: bytes) -> Reason | None:
    """Return why a turn failed; None where that is of no reason known here."""
    try:
        error = from_status(Status.FromString(failure))
    except DecodeError:
        return None
    return None if error is None else error.reason
