"""Messages about conversations to values of the domain, and back.

Below the contract, because what closes abandoned turns writes such messages too.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import assert_never

from digitalhuman.conversation.v1 import conversation_pb2
from services.runtime.failures.errors import ServiceError, invalid, to_status
from services.runtime.failures.reasons import RULES, Reason
from services.runtime.wire import from_duration, to_timestamp
from services.task.domain.conversation import (
    ConversationEvent,
    OpenTurn,
    ReplyUpdated,
    TurnChange,
    TurnClosed,
    TurnStarted,
)
from services.task.domain.provider_totals import ProviderTotals


def from_events(
    events: Sequence[conversation_pb2.ConversationEvent], now: datetime
) -> list[ConversationEvent]:
    """Return events to record. Raises ServiceError with INVALID_REQUEST."""
    return [_from_event(event, f"events[{index}]", now) for index, event in enumerate(events)]


def to_abandoned(turn: OpenTurn) -> ConversationEvent:
    """Return the event that closes a turn of which nothing more will be known."""
    error = ServiceError(Reason.TURN_ABANDONED, f"{RULES[Reason.TURN_ABANDONED].title}.")
    event = conversation_pb2.ConversationEvent(
        sequence=turn.last_sequence + 1,
        event_time=to_timestamp(turn.end_time.timestamp()),
        turn_id=turn.turn_id,
        turn_failed=conversation_pb2.TurnFailed(
            status=to_status(error), reply_text=turn.reply_text
        ),
    )
    return _from_event(event, "event", turn.end_time)


def to_conversation_event(payload: bytes) -> conversation_pb2.ConversationEvent:
    """Return an event as it was recorded."""
    return conversation_pb2.ConversationEvent.FromString(payload)


def _from_event(
    event: conversation_pb2.ConversationEvent, field: str, now: datetime
) -> ConversationEvent:
    if event.sequence < 1:
        raise invalid(f"{field}.sequence", "int64.gte", "must be 1 or more")
    if event.turn_id < 0:
        raise invalid(f"{field}.turn_id", "int64.gte", "must not be negative")
    try:
        time = event.event_time.ToDatetime(tzinfo=UTC) if event.HasField("event_time") else now
    except (ValueError, OverflowError):
        raise invalid(f"{field}.event_time", "timestamp", "is not a time") from None
    return ConversationEvent(
        sequence=event.sequence,
        time=time,
        turn_id=event.turn_id,
        change=_from_change(event),
        # As two senders of one event must be seen to send the same.
        payload=event.SerializeToString(deterministic=True),
    )


def _from_change(event: conversation_pb2.ConversationEvent) -> TurnChange | None:
    match event.WhichOneof("event"):
        case "turn_started":
            started = event.turn_started
            return TurnStarted(
                origin=started.origin,
                user_text=started.user_text,
                language_code=started.language_code,
            )
        case "reply_updated":
            return ReplyUpdated(delta=event.reply_updated.delta)
        case "turn_finished":
            finished = event.turn_finished
            return TurnClosed(
                reply_text=finished.reply_text,
                heard_text=finished.heard_text,
                is_interrupted=finished.interrupted,
                ledger=finished.ledger.SerializeToString(),
                latency=finished.latency.SerializeToString(),
                providers=_from_provider_usage(finished.usage),
            )
        case "turn_failed":
            failed = event.turn_failed
            return TurnClosed(
                reply_text=failed.reply_text,
                heard_text=failed.heard_text,
                failure=failed.status.SerializeToString(),
                ledger=failed.ledger.SerializeToString(),
                providers=_from_provider_usage(failed.usage),
            )
        case (
            "speech_started"
            | "speech_ended"
            | "speech_dismissed"
            | "transcript_updated"
            | "sentence_started"
            | "playback_started"
            | "tool_called"
            # Of a program that knows more kinds than this one.
            | None
        ):
            return None
        case unknown:
            assert_never(unknown)


def _from_provider_usage(
    used: Iterable[conversation_pb2.ProviderUsage],
) -> tuple[ProviderTotals, ...]:
    """Return what a turn's providers were used for, by currency."""
    by_currency: dict[str, ProviderTotals] = {}
    for each in used:
        so_far = by_currency.get(each.currency, ProviderTotals(currency=each.currency))
        is_heard = each.stage == conversation_pb2.PROVIDER_STAGE_RECOGNITION
        by_currency[each.currency] = ProviderTotals(
            currency=each.currency,
            cost_micros=so_far.cost_micros + each.cost_micros,
            input_tokens=so_far.input_tokens + each.input_tokens,
            cached_tokens=so_far.cached_tokens + each.cached_tokens,
            output_tokens=so_far.output_tokens + each.output_tokens,
            estimated_tokens=so_far.estimated_tokens + each.estimated_tokens,
            characters=so_far.characters + each.characters,
            recognized_ms=so_far.recognized_ms
            + (round(from_duration(each.audio_duration) * 1000) if is_heard else 0),
        )
    return tuple(by_currency.values())
