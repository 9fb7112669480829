"""Events of a conversation as messages of the contract, and back."""

from typing import assert_never

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from services.runtime.failures.errors import to_status
from services.runtime.wire import from_duration, to_duration, to_timestamp
from services.speech.conversation.events import (
    Event,
    Latency,
    MadeCall,
    PlaybackStarted,
    ReplyUpdated,
    SentenceStarted,
    SpeechDismissed,
    SpeechEnded,
    SpeechStarted,
    ToolCalled,
    TranscriptUpdated,
    TurnFailed,
    TurnFinished,
    TurnOrigin,
    TurnStarted,
)
from services.speech.listening.interruption import UtteranceKind
from services.speech.playback.ledger import HeardMethod, HeardSegment, LedgerSummary
from services.speech.playback.wire import to_playback_method
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import WordTime
from services.speech.ports.usage import Usage
from services.speech.tools.calls import CallOutcome

_ORIGINS = {
    TurnOrigin.SPEECH: pb.TURN_ORIGIN_SPEECH,
    TurnOrigin.TEXT: pb.TURN_ORIGIN_TEXT,
    TurnOrigin.SAY: pb.TURN_ORIGIN_SAY,
    TurnOrigin.PROMPT: pb.TURN_ORIGIN_PROMPT,
    TurnOrigin.RESUMED: pb.TURN_ORIGIN_RESUMED,
    TurnOrigin.GREETING: pb.TURN_ORIGIN_GREETING,
}
_DISMISSALS = {
    UtteranceKind.NOISE: pb.DISMISSAL_REASON_NOISE,
    UtteranceKind.BACKCHANNEL: pb.DISMISSAL_REASON_BACKCHANNEL,
    UtteranceKind.ECHO: pb.DISMISSAL_REASON_ECHO,
}
_STAGES = {
    Stage.RECOGNITION: pb.PROVIDER_STAGE_RECOGNITION,
    Stage.CHAT: pb.PROVIDER_STAGE_CHAT,
    Stage.SYNTHESIS: pb.PROVIDER_STAGE_SYNTHESIS,
}
_OUTCOMES = {
    CallOutcome.SUCCEEDED: pb.TOOL_OUTCOME_SUCCEEDED,
    CallOutcome.FAILED: pb.TOOL_OUTCOME_FAILED,
    CallOutcome.TIMED_OUT: pb.TOOL_OUTCOME_TIMED_OUT,
    CallOutcome.REFUSED: pb.TOOL_OUTCOME_REFUSED,
    CallOutcome.CANCELLED: pb.TOOL_OUTCOME_CANCELLED,
}
_HEARD_METHODS = {
    HeardMethod.COMPLETE: pb.HEARD_METHOD_COMPLETE,
    HeardMethod.WORD_TIMES: pb.HEARD_METHOD_WORD_TIMES,
    HeardMethod.SEGMENT_SHARE: pb.HEARD_METHOD_SEGMENT_SHARE,
    HeardMethod.NOTHING: pb.HEARD_METHOD_NOTHING,
}


def to_event(event: Event, *, at: float, sequence: int, turn_id: int) -> pb.ConversationEvent:
    """Return an event that happened at a time, in Unix seconds."""
    message = pb.ConversationEvent(sequence=sequence, event_time=to_timestamp(at), turn_id=turn_id)
    match event:
        case SpeechStarted():
            message.speech_started.start_offset.CopyFrom(to_duration(event.start_s))
        case SpeechEnded():
            message.speech_ended.end_offset.CopyFrom(to_duration(event.end_s))
        case SpeechDismissed():
            message.speech_dismissed.reason = _DISMISSALS[event.kind]
            message.speech_dismissed.text = event.text
        case TranscriptUpdated():
            message.transcript_updated.CopyFrom(to_transcript(event.text, event.is_final))
        case TurnStarted():
            message.turn_started.origin = _ORIGINS[event.origin]
            message.turn_started.user_text = event.user_text
            message.turn_started.language_code = event.language_code
            message.turn_started.is_preemptive = event.is_preemptive
            message.turn_started.discarded_reply_count = event.discarded_replies
            message.turn_started.request_id = event.request_id
        case ReplyUpdated():
            message.reply_updated.delta = event.delta
        case SentenceStarted():
            message.sentence_started.CopyFrom(to_sentence(event))
        case PlaybackStarted():
            message.playback_started.method = to_playback_method(event.method)
        case ToolCalled(call=call):
            message.tool_called.call_id = call.call_id
            message.tool_called.name = call.name
            message.tool_called.arguments = call.arguments
        case TurnFinished():
            message.turn_finished.CopyFrom(_to_finished(event))
        case TurnFailed():
            message.turn_failed.status.CopyFrom(to_status(event.error))
            message.turn_failed.reply_text = event.reply_text
            message.turn_failed.heard_text = event.heard_text
            message.turn_failed.usage.extend(map(_to_usage, event.usage))
            message.turn_failed.tool_calls.extend(map(_to_made_call, event.calls))
            if event.ledger is not None:
                message.turn_failed.ledger.CopyFrom(_to_ledger(event.ledger))
                message.turn_failed.segments.extend(map(_to_segment, event.ledger.segments))
        case _:
            assert_never(event)
    return message


def to_transcript(text: str, is_final: bool) -> pb.TranscriptUpdated:
    """Return a hypothesis."""
    return pb.TranscriptUpdated(text=text, is_final=is_final)


def to_sentence(event: SentenceStarted) -> pb.SentenceStarted:
    """Return a sentence that has become audio."""
    return pb.SentenceStarted(
        text=event.text,
        text_start=event.text_start,
        text_end=event.text_end,
        audio_offset=to_duration(event.audio_s),
        words=[_to_word(word) for word in event.words],
    )


def from_sentence(sentence: pb.SentenceStarted) -> SentenceStarted:
    """Return a sentence that has become audio."""
    return SentenceStarted(
        text=sentence.text,
        text_start=sentence.text_start,
        text_end=sentence.text_end,
        audio_s=from_duration(sentence.audio_offset),
        words=tuple(
            WordTime(
                start=word.start,
                end=word.end,
                start_s=from_duration(word.start_offset),
                end_s=from_duration(word.end_offset),
            )
            for word in sentence.words
        ),
    )


def _to_word(word: WordTime) -> pb.WordTiming:
    return pb.WordTiming(
        start=word.start,
        end=word.end,
        start_offset=to_duration(word.start_s),
        end_offset=to_duration(word.end_s),
    )


def _to_finished(event: TurnFinished) -> pb.TurnFinished:
    return pb.TurnFinished(
        reply_text=event.reply_text,
        heard_text=event.heard_text,
        interrupted=event.is_interrupted,
        ledger=_to_ledger(event.ledger),
        latency=_to_latency(event.latency),
        segments=map(_to_segment, event.ledger.segments),
        usage=map(_to_usage, event.usage),
        tool_calls=map(_to_made_call, event.calls),
    )


def _to_usage(usage: Usage) -> pb.ProviderUsage:
    return pb.ProviderUsage(
        stage=_STAGES[usage.stage],
        provider=usage.provider,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        estimated_tokens=usage.estimated_tokens,
        characters=usage.characters,
        audio_duration=to_duration(usage.audio_s),
        currency=usage.currency,
        cost_micros=usage.cost_micros,
    )


def _to_made_call(made: MadeCall) -> pb.MadeToolCall:
    return pb.MadeToolCall(
        call_id=made.call.call_id,
        name=made.call.name,
        arguments=made.call.arguments,
        outcome=_OUTCOMES[made.outcome] if made.outcome else pb.TOOL_OUTCOME_UNSPECIFIED,
        duration=to_duration(made.duration_s),
    )


def _to_ledger(summary: LedgerSummary) -> pb.LedgerSummary:
    return pb.LedgerSummary(
        sentence_count=len(summary.segments),
        produced_duration=to_duration(summary.produced_s),
        sent_duration=to_duration(summary.playback.sent_s),
        played_duration=to_duration(summary.playback.played_s),
        playback_method=to_playback_method(summary.playback.method),
        heard_method=_HEARD_METHODS[summary.heard.method],
        confidence=summary.heard.confidence,
    )


def _to_segment(segment: HeardSegment) -> pb.LedgerSegment:
    return pb.LedgerSegment(
        spoken_text=segment.spoken_text,
        text_start=segment.text_start,
        text_end=segment.text_end,
        audio_start_offset=to_duration(segment.audio_start_s),
        audio_end_offset=to_duration(segment.audio_end_s),
        sent_duration=to_duration(segment.sent_s),
        played_duration=to_duration(segment.played_s),
        heard_end=segment.heard_end,
        heard_method=_HEARD_METHODS[segment.heard_method],
        confidence=segment.confidence,
        words=map(_to_word, segment.words),
    )


def _to_latency(latency: Latency) -> pb.LatencyWaterfall:
    message = pb.LatencyWaterfall(anchor_time=to_timestamp(latency.anchor_time))
    for mark, offset_s in latency.offsets.items():
        getattr(message, f"{mark}_offset").CopyFrom(to_duration(offset_s))
    return message
