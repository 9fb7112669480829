"""Turns the services' messages into the JSON of the contract."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.conversation.v1 import conversation_pb2 as conversation_pb
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.contract import models
from gateway.contract.problems import in_http_names
from services.runtime.errors import ServiceError, from_status
from services.runtime.reasons import Reason


def to_duration(seconds: int | None) -> Duration | None:
    """Return whole seconds as a protobuf duration."""
    return None if seconds is None else Duration(seconds=seconds)


def to_ms(span: Duration) -> int:
    """Return a duration in milliseconds."""
    return round(span.ToNanoseconds() / 1e6)


def to_error(status: Status) -> ServiceError:
    """Return the error that a status within a message tells of."""
    return from_status(status) or ServiceError(Reason.INTERNAL, "Something went wrong here.")


def to_failure(status: Status) -> models.Failure:
    """Return a status within a message as JSON."""
    error = to_error(status)
    return models.Failure(reason=error.reason, message=in_http_names(error.message))


def to_task(task: task_pb2.Task) -> models.Task:
    """Return a task."""
    return models.Task(
        task_id=task.task_id,
        state=_name(task_pb2.TaskState.Name(task.state), "TASK_STATE_"),
        room_id=task.room_id,
        stream_id=task.stream_id,
        digital_human_id=task.digital_human_id or None,
        persona_id=task.persona_id or None,
        lang=task.language_code or None,
        user_id=task.user_id or None,
        background_color=task.background_color or None,
        max_duration_seconds=task.max_duration.seconds,
        max_idle_seconds=task.max_idle_duration.seconds,
        create_time=_time(task, "create_time"),
        start_time=_time(task, "start_time"),
        stop_time=_time(task, "stop_time"),
        stop_reason=_name(task_pb2.StopReason.Name(task.stop_reason), "STOP_REASON_"),
        failure=to_failure(task.failure) if task.HasField("failure") else None,
        usage=_to_usage(task.usage) if task.HasField("usage") else None,
    )


def to_task_answer(task: task_pb2.Task) -> models.TaskAnswer:
    """Return a task as a whole answer."""
    return models.TaskAnswer(**dict(to_task(task)))


def to_stop_answer(task: task_pb2.Task, message: str) -> models.StopAnswer:
    """Return a task that was stopped."""
    return models.StopAnswer(message=message, **dict(to_task(task)))


def _to_usage(usage: task_pb2.Usage) -> models.Usage:
    return models.Usage(
        start_time=_time(usage, "start_time"),
        stop_time=_time(usage, "stop_time"),
        billable_seconds=usage.billable_seconds,
    )


def to_turn(turn: task_pb2.Turn) -> models.Turn:
    """Return a recorded turn; an empty text is a fact when the turn is over, else not known yet."""
    is_over = turn.HasField("finish_time")
    return models.Turn(
        turn_id=turn.turn_id,
        origin=_name(conversation_pb.TurnOrigin.Name(turn.origin), "TURN_ORIGIN_"),
        transcript=turn.user_text or None,
        reply=turn.reply_text if is_over else turn.reply_text or None,
        heard=turn.heard_text if is_over else turn.heard_text or None,
        interrupted=turn.interrupted,
        lang=turn.language_code or None,
        start_time=_time(turn, "start_time"),
        finish_time=_time(turn, "finish_time"),
        failure=to_failure(turn.failure) if turn.HasField("failure") else None,
        timings=to_timings(turn.latency),
        ledger=to_ledger(turn.ledger) if turn.HasField("ledger") else None,
    )


def to_timings(latency: conversation_pb.LatencyWaterfall) -> models.Timings:
    """Return the stages that a turn reached."""
    return models.Timings(
        **{
            field.name.removesuffix("_offset") + "_ms": to_ms(value)
            for field, value in latency.ListFields()
            if field.name.endswith("_offset")
        }
    )


def to_ledger(ledger: conversation_pb.LedgerSummary) -> models.Ledger:
    """Return a ledger's totals."""
    return models.Ledger(
        sentence_count=ledger.sentence_count,
        produced_ms=to_ms(ledger.produced_duration),
        sent_ms=to_ms(ledger.sent_duration),
        played_ms=to_ms(ledger.played_duration),
        playback_method=_playback_method(ledger.playback_method),
        heard_method=_heard_method(ledger.heard_method),
        confidence=ledger.confidence,
    )


def to_ledger_answer(task_id: str, recorded: task_pb2.GetTurnResponse) -> models.LedgerAnswer:
    """Return what became of a turn's reply."""
    turn = to_turn(recorded.turn)
    return models.LedgerAnswer(
        task_id=task_id,
        turn_id=turn.turn_id,
        reply=turn.reply,
        heard=turn.heard,
        interrupted=turn.interrupted,
        finish_time=turn.finish_time,
        failure=turn.failure,
        ledger=turn.ledger,
        segments=[_to_segment(segment, recorded.turn.reply_text) for segment in recorded.segments],
    )


def _to_segment(segment: conversation_pb.LedgerSegment, reply: str) -> models.LedgerSegment:
    start = segment.text_start
    begins_ms = to_ms(segment.audio_start_offset)
    return models.LedgerSegment(
        text=reply[start : segment.text_end],
        spoken=segment.spoken_text,
        text_start=start,
        text_end=segment.text_end,
        audio_start_ms=begins_ms,
        audio_end_ms=to_ms(segment.audio_end_offset),
        sent_ms=to_ms(segment.sent_duration),
        played_ms=to_ms(segment.played_duration),
        heard=reply[start : segment.heard_end],
        heard_method=_heard_method(segment.heard_method),
        confidence=segment.confidence,
        words=[
            models.LedgerWord(
                text_start=start + word.start,
                text_end=start + word.end,
                start_ms=begins_ms + to_ms(word.start_offset),
                end_ms=begins_ms + to_ms(word.end_offset),
            )
            for word in segment.words
        ],
    )


def to_playback(playback: avatar_pb2.Playback) -> models.Playback:
    """Return how an avatar is watched."""
    is_whep = playback.protocol == avatar_pb2.PLAYBACK_PROTOCOL_WHEP
    return models.Playback(protocol="WHEP" if is_whep else "ZEGO_EXPRESS", url=playback.url or None)


def to_persona(persona: speech_pb2.Persona) -> models.Persona:
    """Return a persona."""
    return models.Persona(
        persona_id=persona.persona_id,
        display_name=persona.display_name or None,
        description=persona.description or None,
        languages=list(persona.language_codes),
        display_names=dict(persona.display_names),
        descriptions=dict(persona.descriptions),
        digital_human_id=persona.digital_human_id or None,
        greetings=dict(persona.greetings),
        sample_questions=dict(persona.sample_questions),
    )


def to_digital_human(person: avatar_pb2.DigitalHuman) -> models.DigitalHuman:
    """Return a person that can be shown."""
    return models.DigitalHuman(
        digital_human_id=person.digital_human_id,
        display_name=person.display_name or None,
        avatar_url=person.avatar_url or None,
        actions=list(person.actions),
    )


def time_text(moment: Timestamp) -> str:
    """Return a moment in RFC 3339."""
    return moment.ToJsonString()


def _time(message: Any, field: str) -> str | None:
    return time_text(getattr(message, field)) if message.HasField(field) else None


def _name(name: str, prefix: str) -> str | None:
    short = name.removeprefix(prefix)
    return None if short == "UNSPECIFIED" else short


def _playback_method(method: conversation_pb.PlaybackMethod.ValueType) -> str | None:
    return _name(conversation_pb.PlaybackMethod.Name(method), "PLAYBACK_METHOD_")


def _heard_method(method: conversation_pb.HeardMethod.ValueType) -> str | None:
    return _name(conversation_pb.HeardMethod.Name(method), "HEARD_METHOD_")
