"""Turns the services' events into those of the contract."""

from collections.abc import Iterable
from typing import Any, assert_never

from google.protobuf.duration_pb2 import Duration

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.contract import conversation_events as conversation
from gateway.contract import events
from gateway.contract.conversation_events import ConversationEvent, Event
from gateway.contract.problems import to_problem
from gateway.contract.turn_wire import from_latency, from_ledger
from gateway.contract.wire import (
    enum_name,
    from_duration,
    from_failed_status,
    from_task,
    from_timestamp,
)


def from_ready(ready: speech_pb2.ConverseReady) -> events.Ready:
    """Return how a conversation was joined."""
    return events.Ready(
        event="ready",
        data=events.ReadyData(
            task_id=ready.task_id or None,
            persona_id=ready.persona_id or None,
            lang=ready.language_code or None,
            voice_id=ready.voice_id or None,
            last_sequence=ready.last_sequence,
        ),
    )


def from_snapshot(snapshot: task_pb2.TaskSnapshot, *, is_resumed: bool) -> events.Snapshot:
    """Return a task as it is.

    A client that resumes keeps its position: the events after that are still to come.
    """
    return events.Snapshot(
        event="snapshot",
        sequence=None if is_resumed else snapshot.last_sequence,
        data=events.SnapshotData(
            last_sequence=snapshot.last_sequence, task=from_task(snapshot.task)
        ),
    )


def from_task_event(event: task_pb2.TaskEvent, *, instance: str) -> Event | None:
    """Return an event at its position in the task's log; None for an unknown kind."""
    name = event.WhichOneof("event")
    match name:
        case "state_changed":
            data = events.StateChangedData(
                time=from_timestamp(event.event_time), task=from_task(event.state_changed.task)
            )
            return events.StateChanged(event=name, sequence=event.sequence, data=data)
        case "conversation_event":
            known = from_conversation_event(event.conversation_event, instance=instance)
            return known and known.model_copy(update={"sequence": event.sequence})
        case None:
            return None
        case _:
            assert_never(name)


def from_conversation_event(
    event: pb.ConversationEvent, *, instance: str
) -> ConversationEvent | None:
    """Return an event at its position in the conversation; None for an unknown kind.

    `instance` is the path that the client asked, for problems.
    """
    name = event.WhichOneof("event")
    at = event.sequence
    match name:
        case "speech_started":
            data = _from_offset(event, event.speech_started.start_offset)
            return conversation.SpeechStarted(event=name, sequence=at, data=data)
        case "speech_ended":
            data = _from_offset(event, event.speech_ended.end_offset)
            return conversation.SpeechEnded(event=name, sequence=at, data=data)
        case "speech_dismissed":
            return conversation.SpeechDismissed(
                event=name, sequence=at, data=_from_dismissal(event)
            )
        case "transcript_updated":
            return conversation.TranscriptUpdated(
                event=name, sequence=at, data=_from_transcript(event)
            )
        case "turn_started":
            return conversation.TurnStarted(event=name, sequence=at, data=_from_started(event))
        case "reply_updated":
            return conversation.ReplyUpdated(event=name, sequence=at, data=_from_reply(event))
        case "sentence_started":
            return conversation.SentenceStarted(event=name, sequence=at, data=_from_sentence(event))
        case "playback_started":
            return conversation.PlaybackStarted(event=name, sequence=at, data=_from_playback(event))
        case "tool_called":
            return conversation.ToolCalled(event=name, sequence=at, data=_from_called(event))
        case "turn_finished":
            return conversation.TurnFinished(event=name, sequence=at, data=_from_finished(event))
        case "turn_failed":
            return conversation.TurnFailed(
                event=name, sequence=at, data=_from_failed(event, instance)
            )
        case None:
            return None
        case _:
            assert_never(name)


def _turn(event: pb.ConversationEvent) -> dict[str, Any]:
    return {"turn_id": event.turn_id, "time": from_timestamp(event.event_time)}


def _from_offset(event: pb.ConversationEvent, offset: Duration) -> conversation.SpeechOffsetData:
    return conversation.SpeechOffsetData(**_turn(event), offset_ms=from_duration(offset))


def _from_dismissal(event: pb.ConversationEvent) -> conversation.SpeechDismissedData:
    dismissed = event.speech_dismissed
    return conversation.SpeechDismissedData(
        **_turn(event),
        reason=enum_name(pb.DismissalReason, dismissed.reason),
        text=dismissed.text or None,
    )


def _from_transcript(event: pb.ConversationEvent) -> conversation.TranscriptUpdatedData:
    updated = event.transcript_updated
    return conversation.TranscriptUpdatedData(
        **_turn(event), text=updated.text, is_final=updated.is_final
    )


def _from_started(event: pb.ConversationEvent) -> conversation.TurnStartedData:
    started = event.turn_started
    return conversation.TurnStartedData(
        **_turn(event),
        origin=enum_name(pb.TurnOrigin, started.origin),
        transcript=started.user_text or None,
        lang=started.language_code or None,
        is_preemptive=started.is_preemptive,
        discarded_replies=started.discarded_reply_count,
        request_id=started.request_id or None,
    )


def _from_reply(event: pb.ConversationEvent) -> conversation.ReplyUpdatedData:
    return conversation.ReplyUpdatedData(**_turn(event), delta=event.reply_updated.delta)


def _from_sentence(event: pb.ConversationEvent) -> conversation.SentenceStartedData:
    sentence = event.sentence_started
    return conversation.SentenceStartedData(
        **_turn(event),
        text=sentence.text,
        text_start=sentence.text_start,
        text_end=sentence.text_end,
        audio_offset_ms=from_duration(sentence.audio_offset),
        words=[
            conversation.WordTime(
                start=word.start,
                end=word.end,
                start_ms=from_duration(word.start_offset),
                end_ms=from_duration(word.end_offset),
            )
            for word in sentence.words
        ],
    )


def _from_playback(event: pb.ConversationEvent) -> conversation.PlaybackStartedData:
    method = enum_name(pb.PlaybackMethod, event.playback_started.method)
    return conversation.PlaybackStartedData(**_turn(event), method=method)


def _from_called(event: pb.ConversationEvent) -> conversation.ToolCalledData:
    called = event.tool_called
    return conversation.ToolCalledData(
        **_turn(event), call_id=called.call_id, name=called.name, arguments=called.arguments
    )


def _from_made_calls(calls: Iterable[pb.MadeToolCall]) -> list[conversation.MadeToolCall]:
    return [
        conversation.MadeToolCall(
            call_id=each.call_id,
            name=each.name,
            arguments=each.arguments,
            outcome=enum_name(pb.ToolOutcome, each.outcome),
            duration_ms=from_duration(each.duration),
        )
        for each in calls
    ]


def _from_finished(event: pb.ConversationEvent) -> conversation.TurnFinishedData:
    finished = event.turn_finished
    return conversation.TurnFinishedData(
        **_turn(event),
        reply=finished.reply_text,
        heard=finished.heard_text,
        interrupted=finished.interrupted,
        timings=from_latency(finished.latency),
        ledger=from_ledger(finished.ledger),
        tool_calls=_from_made_calls(finished.tool_calls),
    )


def _from_failed(event: pb.ConversationEvent, instance: str) -> conversation.TurnFailedData:
    failed = event.turn_failed
    return conversation.TurnFailedData(
        **_turn(event),
        problem=to_problem(from_failed_status(failed.status), instance=instance),
        reply=failed.reply_text,
        heard=failed.heard_text,
        ledger=from_ledger(failed.ledger) if failed.HasField("ledger") else None,
        tool_calls=_from_made_calls(failed.tool_calls),
    )
