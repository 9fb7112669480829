"""How a turn ended: for its last event, the metrics, and the log."""

from collections.abc import Sequence
from typing import assert_never

import structlog

from services.runtime.failures.errors import ServiceError, from_exception
from services.runtime.failures.reasons import Reason
from services.speech.conversation.events import Latency, MadeCall, TurnFailed, TurnFinished
from services.speech.playback.ledger import HeardMethod, Ledger
from services.speech.playback.ports import Playback
from services.speech.telemetry.metrics import count_turn
from services.speech.telemetry.waterfall import Mark, Waterfall
from services.speech.tools.calls import Call

log = structlog.get_logger(__name__)


def finished(
    ledger: Ledger,
    waterfall: Waterfall,
    playback: Playback,
    *,
    was_cut: bool,
    calls: Sequence[Call] = (),
) -> TurnFinished:
    """Return the end of a turn whose reply was played, wholly or in part."""
    summary = ledger.summary(playback)
    is_whole = summary.heard.method is HeardMethod.COMPLETE
    if playback.first_sent_at is not None:
        waterfall.reach(Mark.FIRST_PCM_SENT, playback.first_sent_at)
    return TurnFinished(
        reply_text=ledger.reply_text,
        heard_text=summary.heard.text,
        is_interrupted=(was_cut or playback.is_interrupted) and not is_whole,
        ledger=summary,
        latency=Latency(anchor_time=waterfall.anchor_time, offsets=dict(waterfall.offsets)),
        calls=_made(calls),
    )


def failed(
    ledger: Ledger,
    playback: Playback,
    error: BaseException,
    *,
    turn_id: int,
    calls: Sequence[Call] = (),
) -> TurnFailed:
    """Return the end of a turn without a complete reply."""
    seen = from_exception(error)
    if seen is None:
        log.error("turn failed unexpectedly", turn_id=turn_id, exc_info=error)
        seen = ServiceError(Reason.INTERNAL, "Something went wrong here.")
    summary = ledger.summary(playback)
    return TurnFailed(
        error=seen,
        reply_text=ledger.reply_text,
        heard_text=summary.heard.text,
        ledger=summary,
        calls=_made(calls),
    )


def _made(calls: Sequence[Call]) -> tuple[MadeCall, ...]:
    return tuple(
        MadeCall(call=each.request, outcome=each.outcome, duration_s=each.duration_s)
        for each in calls
    )


def report(event: TurnFinished | TurnFailed, waterfall: Waterfall, *, turn_id: int) -> None:
    """Count, trace and log the end of a turn."""
    match event:
        case TurnFinished():
            outcome = "interrupted" if event.is_interrupted else "finished"
            count_turn(outcome, waterfall, turn_id=turn_id)
            log.info(
                "turn over",
                turn_id=turn_id,
                outcome=outcome,
                produced_s=round(event.ledger.produced_s, 2),
                played_s=round(event.ledger.playback.played_s, 2),
                offsets_ms={mark.value: round(at * 1000) for mark, at in waterfall.offsets.items()},
            )
        case TurnFailed():
            count_turn(event.error.reason, waterfall, turn_id=turn_id)
            log.warning("turn failed", turn_id=turn_id, reason=event.error.reason)
        case _:
            assert_never(event)
