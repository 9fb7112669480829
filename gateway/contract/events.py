"""The events of tasks and conversations as server-sent events."""

import json
from dataclasses import dataclass
from typing import Any

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.contract.problems import problem
from gateway.contract.wire import time_text, to_error, to_ledger, to_ms, to_task, to_timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; `sequence` is the id that a client resumes from, None keeps the one it has."""

    name: str
    data: dict[str, Any]
    sequence: int | None = None

    def encode(self) -> bytes:
        """Return the event as a part of an event stream."""
        lines = [] if self.sequence is None else [f"id: {self.sequence}"]
        lines += [f"event: {self.name}", f"data: {json.dumps(self.data, ensure_ascii=False)}"]
        return ("\n".join(lines) + "\n\n").encode()

    def to_json(self) -> str:
        """Return the event as a WebSocket's text message."""
        told: dict[str, Any] = {"event": self.name}
        if self.sequence is not None:
            told["sequence"] = self.sequence
        return json.dumps(told | {"data": self.data}, ensure_ascii=False)


def of_ready(ready: speech_pb2.ConverseReady) -> Event:
    """Return what tells a client that its question is taken."""
    data = {
        "taskId": ready.task_id,
        "personaId": ready.persona_id,
        "lang": ready.language_code,
        "voiceId": ready.voice_id,
        "lastSequence": ready.last_sequence,
    }
    return Event(name="ready", data=_set(data))


def of_conversation(event: pb.ConversationEvent, *, instance: str) -> Event | None:
    """Return a conversation's event under its own sequence; None for a kind that is not known."""
    name = event.WhichOneof("event")
    if name is None:
        return None
    data = {"turnId": event.turn_id, "time": time_text(event.event_time)}
    return Event(name=name, data=data | _content(event, instance), sequence=event.sequence)


def of_task(event: task_pb2.TaskEvent, *, instance: str) -> Event | None:
    """Return a task's event under the task's sequence; None for a kind that is not known."""
    match event.WhichOneof("event"):
        case "state_changed":
            data = {
                "time": time_text(event.event_time),
                "task": to_task(event.state_changed.task).to_json(),
            }
            return Event(name="state_changed", data=data, sequence=event.sequence)
        case "conversation_event":
            told = of_conversation(event.conversation_event, instance=instance)
            return told and Event(name=told.name, data=told.data, sequence=event.sequence)
        case _:
            return None


def of_snapshot(snapshot: task_pb2.TaskSnapshot, *, is_resumed: bool) -> Event:
    """Return a task as it is.

    A client that resumes keeps the id that it has: the events after that are still to come.
    """
    data = {"lastSequence": snapshot.last_sequence, "task": to_task(snapshot.task).to_json()}
    sequence = None if is_resumed else snapshot.last_sequence
    return Event(name="snapshot", data=data, sequence=sequence)


def _set(members: dict[str, Any]) -> dict[str, Any]:
    """Return members without those that are not set."""
    return {name: value for name, value in members.items() if value != ""}


def _content(event: pb.ConversationEvent, instance: str) -> dict[str, Any]:
    match event.WhichOneof("event"):
        case "speech_started":
            return {"offsetMs": to_ms(event.speech_started.start_offset)}
        case "speech_ended":
            return {"offsetMs": to_ms(event.speech_ended.end_offset)}
        case "speech_dismissed":
            dismissed = event.speech_dismissed
            reason = pb.DismissalReason.Name(dismissed.reason)
            return _set(
                {"reason": reason.removeprefix("DISMISSAL_REASON_"), "text": dismissed.text}
            )
        case "transcript_updated":
            updated = event.transcript_updated
            return {"text": updated.text, "isFinal": updated.is_final}
        case "turn_started":
            return _turn_started(event.turn_started)
        case "reply_updated":
            return {"delta": event.reply_updated.delta}
        case "sentence_started":
            return _sentence_started(event.sentence_started)
        case "playback_started":
            method = pb.PlaybackMethod.Name(event.playback_started.method)
            return {"method": method.removeprefix("PLAYBACK_METHOD_")}
        case "turn_finished":
            return _turn_finished(event.turn_finished)
        case "turn_failed":
            return _turn_failed(event.turn_failed, instance)
        case _:
            return {}


def _turn_started(started: pb.TurnStarted) -> dict[str, Any]:
    return _set(
        {
            "origin": pb.TurnOrigin.Name(started.origin).removeprefix("TURN_ORIGIN_"),
            "transcript": started.user_text,
            "lang": started.language_code,
            "isPreemptive": started.is_preemptive,
            "discardedReplies": started.discarded_reply_count,
            "requestId": started.request_id,
        }
    )


def _sentence_started(sentence: pb.SentenceStarted) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "textStart": sentence.text_start,
        "textEnd": sentence.text_end,
        "audioOffsetMs": to_ms(sentence.audio_offset),
        "words": [
            {
                "start": word.start,
                "end": word.end,
                "startMs": to_ms(word.start_offset),
                "endMs": to_ms(word.end_offset),
            }
            for word in sentence.words
        ],
    }


def _turn_finished(finished: pb.TurnFinished) -> dict[str, Any]:
    return {
        "reply": finished.reply_text,
        "heard": finished.heard_text,
        "interrupted": finished.interrupted,
        "timings": to_timings(finished.latency).to_json(),
        "ledger": to_ledger(finished.ledger).to_json(),
    }


def _turn_failed(failed: pb.TurnFailed, instance: str) -> dict[str, Any]:
    return {
        "problem": problem(to_error(failed.status), instance=instance),
        "reply": failed.reply_text,
        "heard": failed.heard_text,
        # A turn that somebody else had to close has none.
        **({"ledger": to_ledger(failed.ledger).to_json()} if failed.HasField("ledger") else {}),
    }
