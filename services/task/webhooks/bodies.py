"""What webhooks are sent: JSON, of which later versions add members and change none."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, assert_never

from google.rpc.status_pb2 import Status

from services.runtime.failures.errors import from_status
from services.task.domain.conversation import Turn
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task
from services.task.webhooks.webhook import TEST, Delivery, EndedTask, QuotaUse, Subject, Webhook

VERSION = 1
_MICROS = 1_000_000


def body_of(delivery: Delivery, webhook: Webhook) -> bytes:
    """Return the body that brings an event to a webhook."""
    place = {"taskId": delivery.task_id, "sequence": delivery.sequence} if delivery.task_id else {}
    return _encoded(
        webhook,
        event_id=delivery.event_id,
        event_type=delivery.event_type.value,
        time=delivery.time,
        **place,
        data=_data(delivery.subject),
    )


def test_body(webhook: Webhook, *, event_id: str, now: datetime) -> bytes:
    """Return the body that tries a webhook out."""
    return _encoded(webhook, event_id=event_id, event_type=TEST, time=now, data={})


def _encoded(
    webhook: Webhook, *, event_id: str, event_type: str, time: datetime, **members: Any
) -> bytes:
    body = {
        "version": VERSION,
        "id": event_id,
        "type": event_type,
        "time": _moment(time),
        "tenantId": webhook.tenant_id,
        "webhookId": webhook.webhook_id,
        **members,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _data(subject: Subject) -> Mapping[str, Any]:
    match subject:
        case Task():
            return {"task": _task(subject)}
        case EndedTask():
            return {"task": _task(subject.task), "usage": _usage(subject)}
        case Turn():
            return {"turn": _turn(subject)}
        case QuotaUse():
            return {"quota": _quota(subject)}
        case unknown:
            assert_never(unknown)


def _task(task: Task) -> Mapping[str, Any]:
    return _present(
        taskId=task.task_id,
        state=task.state.value,
        roomId=task.room_id,
        streamId=task.stream_id,
        digitalHumanId=task.digital_human_id,
        personaId=task.persona_id,
        languageCode=task.language_code,
        userId=task.user_id,
        createTime=_moment(task.create_time),
        startTime=_moment(task.start_time),
        stopTime=_moment(task.stop_time),
        stopReason=task.stop_reason.value if task.stop_reason else None,
        failure=task.failure
        and {"reason": task.failure.reason.value, "message": task.failure.message},
    )


def _usage(ended: EndedTask) -> Mapping[str, Any]:
    task = ended.task
    return {
        "billableSeconds": task.billable_seconds(task.stop_time or task.create_time),
        "turns": ended.turns,
        "providers": [_totals(each) for each in ended.providers],
    }


def _totals(totals: ProviderTotals) -> Mapping[str, Any]:
    return _present(
        currency=totals.currency,
        amount=totals.cost_micros / _MICROS if totals.currency else None,
        inputTokens=totals.input_tokens,
        cachedTokens=totals.cached_tokens,
        outputTokens=totals.output_tokens,
        estimatedTokens=totals.estimated_tokens,
        characters=totals.characters,
        recognizedSeconds=totals.recognized_ms / 1000,
    )


def _turn(turn: Turn) -> Mapping[str, Any]:
    return {
        "turnId": turn.turn_id,
        "userText": turn.user_text,
        "replyText": turn.reply_text,
        "heardText": turn.heard_text,
        "interrupted": turn.is_interrupted,
        **_present(
            languageCode=turn.language_code,
            startTime=_moment(turn.start_time),
            finishTime=_moment(turn.finish_time),
            failure=_failure(turn.failure),
        ),
    }


def _failure(encoded: bytes) -> Mapping[str, str] | None:
    if not encoded:
        return None
    error = from_status(Status.FromString(encoded))
    return {"reason": error.reason.value, "message": error.message} if error else {}


def _quota(use: QuotaUse) -> Mapping[str, Any]:
    return {
        "kind": use.kind,
        "unit": use.unit,
        "used": use.used,
        "limit": use.limit,
        **_present(userId=use.user_id, renewTime=_moment(use.renew_time)),
    }


def _present(**members: Any) -> dict[str, Any]:
    """Return the members that are known."""
    return {name: value for name, value in members.items() if value not in (None, "")}


def _moment(time: datetime | None) -> str | None:
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
