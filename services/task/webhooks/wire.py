"""Webhooks and dead letters as messages, and the tokens of their pages."""

from datetime import UTC, datetime

from digitalhuman.webhooks.v1 import webhooks_pb2 as pb
from services.runtime.failures.errors import invalid
from services.runtime.wire import to_timestamp
from services.task.domain.usage import Position
from services.task.webhooks.webhook import DeadLetter, Receiver, StoredKey


def to_webhook(receiver: Receiver) -> pb.Webhook:
    """Return a webhook, without its secrets."""
    webhook = receiver.webhook
    return pb.Webhook(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        description=webhook.description,
        event_types=[each.value for each in webhook.event_types],
        create_time=to_timestamp(webhook.create_time.timestamp()),
        keys=map(_to_key, receiver.keys),
    )


def to_dead_letter(letter: DeadLetter) -> pb.DeadLetter:
    """Return a dead letter."""
    return pb.DeadLetter(
        event_id=letter.event_id,
        event_type=letter.event_type,
        task_id=letter.task_id,
        event_time=to_timestamp(letter.time.timestamp()),
        attempts=letter.attempts,
        failure=letter.failure,
    )


def to_page_token(last: DeadLetter) -> str:
    """Return the token of the page after a dead letter."""
    return f"{last.time.isoformat()}/{last.event_id}"


def from_page_token(token: str) -> Position | None:
    """Return the position that a page follows; None for the first page.

    Raises ServiceError with INVALID_REQUEST.
    """
    if not token:
        return None
    time, _, event_id = token.partition("/")
    try:
        return Position(time=datetime.fromisoformat(time).astimezone(UTC), key=event_id)
    except (ValueError, OverflowError):
        raise invalid("page_token", "page_token", "it is not a `next_page_token`") from None


def _to_key(key: StoredKey) -> pb.SigningKey:
    return pb.SigningKey(
        key_id=key.key_id,
        create_time=to_timestamp(key.create_time.timestamp()),
        expire_time=None if key.expire_time is None else to_timestamp(key.expire_time.timestamp()),
    )
