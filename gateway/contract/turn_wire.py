"""Turns the services' turns and ledgers into those of the contract."""

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from digitalhuman.task.v1 import task_pb2
from gateway.contract import turn_models
from gateway.contract.wire import enum_name, from_duration, from_failure, time_of


def from_turn(turn: task_pb2.Turn) -> turn_models.Turn:
    """Return a recorded turn; an empty text is a fact when the turn is over, else not known yet."""
    is_over = turn.HasField("finish_time")
    return turn_models.Turn(
        turn_id=turn.turn_id,
        origin=enum_name(pb.TurnOrigin, turn.origin),
        transcript=turn.user_text or None,
        reply=turn.reply_text if is_over else turn.reply_text or None,
        heard=turn.heard_text if is_over else turn.heard_text or None,
        interrupted=turn.interrupted,
        lang=turn.language_code or None,
        start_time=time_of(turn, "start_time"),
        finish_time=time_of(turn, "finish_time"),
        failure=from_failure(turn.failure) if turn.HasField("failure") else None,
        timings=from_latency(turn.latency),
        ledger=from_ledger(turn.ledger) if turn.HasField("ledger") else None,
    )


def from_latency(latency: pb.LatencyWaterfall) -> turn_models.Timings:
    """Return the stages that a turn reached."""
    return turn_models.Timings(
        **{
            field.name.removesuffix("_offset") + "_ms": from_duration(value)
            for field, value in latency.ListFields()
            if field.name.endswith("_offset")
        }
    )


def from_ledger(ledger: pb.LedgerSummary) -> turn_models.Ledger:
    """Return a ledger's totals."""
    return turn_models.Ledger(
        sentence_count=ledger.sentence_count,
        produced_ms=from_duration(ledger.produced_duration),
        sent_ms=from_duration(ledger.sent_duration),
        played_ms=from_duration(ledger.played_duration),
        playback_method=enum_name(pb.PlaybackMethod, ledger.playback_method),
        heard_method=enum_name(pb.HeardMethod, ledger.heard_method),
        confidence=ledger.confidence,
    )


def from_recorded_turn(
    task_id: str, recorded: task_pb2.GetTurnResponse
) -> turn_models.LedgerAnswer:
    """Return what became of a turn's reply."""
    turn = from_turn(recorded.turn)
    return turn_models.LedgerAnswer(
        task_id=task_id,
        turn_id=turn.turn_id,
        reply=turn.reply,
        heard=turn.heard,
        interrupted=turn.interrupted,
        finish_time=turn.finish_time,
        failure=turn.failure,
        ledger=turn.ledger,
        segments=[
            _from_segment(segment, recorded.turn.reply_text) for segment in recorded.segments
        ],
    )


def _from_segment(segment: pb.LedgerSegment, reply: str) -> turn_models.LedgerSegment:
    start = segment.text_start
    begins_ms = from_duration(segment.audio_start_offset)
    return turn_models.LedgerSegment(
        text=reply[start : segment.text_end],
        spoken=segment.spoken_text,
        text_start=start,
        text_end=segment.text_end,
        audio_start_ms=begins_ms,
        audio_end_ms=from_duration(segment.audio_end_offset),
        sent_ms=from_duration(segment.sent_duration),
        played_ms=from_duration(segment.played_duration),
        heard=reply[start : segment.heard_end],
        heard_method=enum_name(pb.HeardMethod, segment.heard_method),
        confidence=segment.confidence,
        words=[
            turn_models.LedgerWord(
                text_start=start + word.start,
                text_end=start + word.end,
                start_ms=begins_ms + from_duration(word.start_offset),
                end_ms=begins_ms + from_duration(word.end_offset),
            )
            for word in segment.words
        ],
    )
