"""A finished turn as spans: the turn, and each stage from the one that it waited for."""

from services.runtime.telemetry.tracing import record
from services.speech.telemetry.waterfall import Mark, Waterfall

_WAITED_FOR = {
    Mark.TRANSCRIPT: Mark.ENDPOINT,
    Mark.FIRST_TOKEN: Mark.TRANSCRIPT,
    Mark.FIRST_SENTENCE: Mark.FIRST_TOKEN,
    Mark.FIRST_AUDIO: Mark.FIRST_SENTENCE,
    Mark.FIRST_PCM_SENT: Mark.FIRST_AUDIO,
    Mark.PLAYBACK_STARTED: Mark.FIRST_PCM_SENT,
    Mark.LAST_TOKEN: Mark.FIRST_TOKEN,
}
"""All others count from the last voiced sample."""


def record_turn(waterfall: Waterfall, *, outcome: str, turn_id: int) -> None:
    """Record a turn that has just ended, from its last voiced sample; no words are recorded."""
    anchor_time = waterfall.anchor_time
    turn = record(
        "turn",
        start_s=anchor_time,
        end_s=anchor_time + waterfall.lasted_s,
        attributes={"parley.turn_id": turn_id, "parley.outcome": outcome},
    )
    if not turn.get_span_context().is_valid:
        return
    offsets = waterfall.offsets
    for mark, offset_s in offsets.items():
        before = _WAITED_FOR.get(mark)
        # A stage that began ahead of time waited for nothing.
        begin_s = min(offsets.get(before, 0.0) if before else 0.0, offset_s)
        record(
            mark.value,
            start_s=anchor_time + begin_s,
            end_s=anchor_time + offset_s,
            attributes={"parley.turn_id": turn_id},
            parent=turn,
        )
