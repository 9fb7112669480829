"""Webhooks and the audit log, as clients read and write them."""

from typing import Annotated, Literal

from pydantic import FailFast, Field

from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.webhooks.v1 import webhooks_pb2 as pb
from gateway.contract.bodies import JsonRequest
from gateway.contract.constraints import constraints
from gateway.contract.fields import Instant, Seconds, Text
from gateway.contract.json_model import JsonModel
from gateway.contract.wire import from_timestamp

SECRET = "`whsec_` and the key in base64: the only time that it is shown."
WebhookEventType = Literal[
    "task.on_air",
    "task.ended",
    "turn.finished",
    "turn.interrupted",
    "turn.failed",
    "provider.failed",
    "quota.near",
]


class AddWebhookBody(JsonRequest):
    """Where to be notified, and of what."""

    url: Text = Field(
        description="Where to send events: https, or http to a loopback address.",
        json_schema_extra=constraints(pb.AddWebhookRequest, "url"),
    )
    description: Text = Field(
        default="",
        description="What it is for.",
        json_schema_extra=constraints(pb.AddWebhookRequest, "description"),
    )
    event_types: Annotated[list[WebhookEventType], FailFast()] = Field(
        default=[],
        max_length=32,
        description="Which events to receive; none: all, also those that later versions add.",
        json_schema_extra={"uniqueItems": True},
    )


class RotateKeyBody(JsonRequest):
    """How to replace a webhook's secret."""

    overlap: Seconds = Field(
        default=86_400,
        description="Seconds for which the former keys sign as well.",
        json_schema_extra=constraints(pb.RotateWebhookKeyRequest, "overlap"),
    )


class ReplayBody(JsonRequest):
    """Which dead letters to deliver anew."""

    event_ids: Annotated[list[Text], FailFast()] = Field(
        default=[], max_length=1000, description="Their events; none: all."
    )


class WebhookKey(JsonModel):
    """A key that signs."""

    key_id: str
    create_time: Instant
    expire_time: Instant | None = Field(
        default=None, description="When it ceases to sign; absent: never."
    )


class Webhook(JsonModel):
    """Where events are sent."""

    webhook_id: str
    url: str
    description: str | None = None
    event_types: list[str] = Field(description="None: all.")
    create_time: Instant
    keys: list[WebhookKey] = Field(description="Those that sign, the newest first.")


class WebhookWithSecret(JsonModel):
    """A webhook that has got a new secret."""

    success: Literal[True] = True
    webhook: Webhook
    secret: str = Field(description=SECRET)


class Webhooks(JsonModel):
    """All webhooks."""

    success: Literal[True] = True
    webhooks: list[Webhook]


class WebhookRemoved(JsonModel):
    """The webhook is removed."""

    success: Literal[True] = True


class WebhookTest(JsonModel):
    """What became of an event that was sent to try a webhook out."""

    success: Literal[True] = True
    delivered: bool
    failure: str | None = Field(default=None, description="Why not, in words for operators.")


class DeadLetter(JsonModel):
    """An event that could not be delivered for a day."""

    event_id: str
    event_type: str
    task_id: str | None = None
    event_time: Instant
    attempts: int
    failure: str = Field(description="Why the last attempt failed.")


class DeadLetters(JsonModel):
    """A page of dead letters."""

    success: Literal[True] = True
    dead_letters: list[DeadLetter]
    next_page_token: str | None = Field(
        default=None, description="Token of the next page; absent on the last."
    )


class Replayed(JsonModel):
    """Dead letters are on their way again."""

    success: Literal[True] = True
    replayed: int = Field(description="How many.")


class AuditEntry(JsonModel):
    """What somebody did."""

    time: Instant
    actor: str | None = Field(default=None, description="Who, as far as known.")
    user_id: str | None = Field(default=None, description="For which user.")
    action: str = Field(examples=["task.created"])
    subject: str = Field(description="The id of what it was done to.")
    request_id: str


class AuditEntries(JsonModel):
    """A page of the audit log."""

    success: Literal[True] = True
    entries: list[AuditEntry]
    next_page_token: str | None = Field(
        default=None, description="Token of the next page; absent on the last."
    )


def from_webhook(webhook: pb.Webhook) -> Webhook:
    """Return a webhook."""
    return Webhook(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        description=webhook.description or None,
        event_types=list(webhook.event_types),
        create_time=from_timestamp(webhook.create_time),
        keys=[
            WebhookKey(
                key_id=each.key_id,
                create_time=from_timestamp(each.create_time),
                expire_time=from_timestamp(each.expire_time)
                if each.HasField("expire_time")
                else None,
            )
            for each in webhook.keys
        ],
    )


def from_dead_letter(letter: pb.DeadLetter) -> DeadLetter:
    """Return a dead letter."""
    return DeadLetter(
        event_id=letter.event_id,
        event_type=letter.event_type,
        task_id=letter.task_id or None,
        event_time=from_timestamp(letter.event_time),
        attempts=letter.attempts,
        failure=letter.failure,
    )


def from_audit_entry(entry: audit_pb2.AuditEntry) -> AuditEntry:
    """Return an entry of the audit log."""
    return AuditEntry(
        time=from_timestamp(entry.time),
        actor=entry.actor or None,
        user_id=entry.user_id or None,
        action=entry.action,
        subject=entry.subject,
        request_id=entry.request_id,
    )
