"""Translates between the domain's words and the protos'."""

import time
from dataclasses import replace

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.conversation.v1 import conversation_pb2 as pb
from digitalhuman.speech.v1 import speech_pb2
from services.runtime.errors import ServiceError, refused, to_status
from services.runtime.reasons import Reason
from services.speech.events import (
    Event,
    Latency,
    PlaybackStarted,
    ReplyUpdated,
    SentenceStarted,
    SpeechDismissed,
    SpeechEnded,
    SpeechStarted,
    TranscriptUpdated,
    TurnFailed,
    TurnFinished,
    TurnOrigin,
    TurnStarted,
)
from services.speech.ledger import HeardMethod, HeardSegment, LedgerSummary
from services.speech.personas import Persona
from services.speech.ports import (
    LISTENING_RATE_HERTZ,
    Playback,
    PlaybackMethod,
    Voice,
    WordTime,
)
from services.speech.remarks import Remark

_ORIGINS = {
    TurnOrigin.SPEECH: pb.TURN_ORIGIN_SPEECH,
    TurnOrigin.TEXT: pb.TURN_ORIGIN_TEXT,
    TurnOrigin.SAY: pb.TURN_ORIGIN_SAY,
    TurnOrigin.PROMPT: pb.TURN_ORIGIN_PROMPT,
    TurnOrigin.RESUMED: pb.TURN_ORIGIN_RESUMED,
}
_DISMISSALS = {
    Remark.NOISE: pb.DISMISSAL_REASON_NOISE,
    Remark.BACKCHANNEL: pb.DISMISSAL_REASON_BACKCHANNEL,
    Remark.ECHO: pb.DISMISSAL_REASON_ECHO,
}
_PLAYBACK_METHODS = {
    PlaybackMethod.ESTIMATED: pb.PLAYBACK_METHOD_ESTIMATED,
    PlaybackMethod.CONFIRMED: pb.PLAYBACK_METHOD_CONFIRMED,
    PlaybackMethod.CALLER: pb.PLAYBACK_METHOD_CALLER,
}
_METHODS_OF_PLAYBACK = {value: method for method, value in _PLAYBACK_METHODS.items()}
_HEARD_METHODS = {
    HeardMethod.COMPLETE: pb.HEARD_METHOD_COMPLETE,
    HeardMethod.WORD_TIMES: pb.HEARD_METHOD_WORD_TIMES,
    HeardMethod.SEGMENT_SHARE: pb.HEARD_METHOD_SEGMENT_SHARE,
    HeardMethod.NOTHING: pb.HEARD_METHOD_NOTHING,
}


def to_duration(seconds: float) -> Duration:
    """Return a duration, to the microsecond."""
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration


def from_duration(duration: Duration) -> float:
    """Return seconds."""
    return duration.seconds + duration.nanos / 1e9


def to_timestamp(unix_time: float) -> Timestamp:
    """Return a moment, to the microsecond."""
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(unix_time * 1e6))
    return timestamp


def from_timestamp(timestamp: Timestamp) -> float:
    """Return Unix seconds."""
    return timestamp.seconds + timestamp.nanos / 1e9


def to_format(sample_rate_hertz: int) -> audio_pb2.AudioFormat:
    """Return the format of raw mono audio."""
    return audio_pb2.AudioFormat(
        encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE,
        sample_rate_hertz=sample_rate_hertz,
        channel_count=1,
    )


def check_input_format(given: audio_pb2.AudioFormat, field: str) -> None:
    """Refuse what the ear cannot take; raises ServiceError."""
    if given.sample_rate_hertz != LISTENING_RATE_HERTZ:
        raise refused(
            Reason.AUDIO_FORMAT_UNSUPPORTED,
            f"{field}.sample_rate_hertz",
            "rate",
            f"must be {LISTENING_RATE_HERTZ}",
        )


def check_pcm(pcm: bytes, field: str) -> bytes:
    """Return audio that is whole samples; raises ServiceError."""
    if len(pcm) % 2:
        raise refused(
            Reason.AUDIO_INVALID,
            field,
            "whole_samples",
            f"{len(pcm)} bytes are not a whole number of 2-byte samples",
        )
    return pcm


def to_event(event: Event, *, sequence: int, turn_id: int) -> pb.ConversationEvent:
    """Return an event of now."""
    message = pb.ConversationEvent(
        sequence=sequence, event_time=to_timestamp(time.time()), turn_id=turn_id
    )
    match event:
        case SpeechStarted():
            message.speech_started.start_offset.CopyFrom(to_duration(event.start_s))
        case SpeechEnded():
            message.speech_ended.end_offset.CopyFrom(to_duration(event.end_s))
        case SpeechDismissed():
            message.speech_dismissed.reason = _DISMISSALS[event.remark]
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
            message.playback_started.method = _PLAYBACK_METHODS[event.method]
        case TurnFinished():
            message.turn_finished.CopyFrom(_to_finished(event))
        case TurnFailed():
            message.turn_failed.status.CopyFrom(to_status(event.error))
            message.turn_failed.reply_text = event.reply_text
            message.turn_failed.heard_text = event.heard_text
            if event.ledger is not None:
                message.turn_failed.ledger.CopyFrom(_to_ledger(event.ledger))
                message.turn_failed.segments.extend(map(_to_segment, event.ledger.segments))
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
    )


def _to_ledger(summary: LedgerSummary) -> pb.LedgerSummary:
    return pb.LedgerSummary(
        sentence_count=len(summary.segments),
        produced_duration=to_duration(summary.produced_s),
        sent_duration=to_duration(summary.playback.sent_s),
        played_duration=to_duration(summary.playback.played_s),
        playback_method=_PLAYBACK_METHODS[summary.playback.method],
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


def from_playback_method(value: int) -> PlaybackMethod:
    """Return how playback is known; a way that this version does not know is an estimate."""
    return _METHODS_OF_PLAYBACK.get(pb.PlaybackMethod.ValueType(value), PlaybackMethod.ESTIMATED)


def sent_ago_s(
    position: avatar_pb2.DriveProgress | avatar_pb2.DriveFinished, *, told_at: Timestamp
) -> float | None:
    """Return how long before it was told the first audio was sent, by one and the same clock."""
    if not position.HasField("first_sent_time"):
        return None
    return max(0.0, from_timestamp(told_at) - from_timestamp(position.first_sent_time))


def from_progress(progress: avatar_pb2.DriveProgress) -> Playback:
    """Return how far a drive is."""
    return Playback(
        sent_s=from_duration(progress.sent_duration),
        played_s=from_duration(progress.played_duration),
        method=from_playback_method(progress.method),
    )


def from_finished(finished: avatar_pb2.DriveFinished) -> Playback:
    """Return how far a drive came."""
    return Playback(
        sent_s=from_duration(finished.sent_duration),
        played_s=from_duration(finished.played_duration),
        method=from_playback_method(finished.method),
        is_interrupted=finished.interrupted,
    )


def from_lost_drive(error: ServiceError, known: Playback) -> Playback:
    """Return how far a drive came that was lost: its error may tell, in milliseconds."""
    sent_ms, played_ms = (error.metadata.get(key, "") for key in ("sent_ms", "played_ms"))
    if not (sent_ms.isdecimal() and played_ms.isdecimal()):
        return known
    return replace(known, sent_s=int(sent_ms) / 1000, played_s=int(played_ms) / 1000)


def to_persona(persona: Persona) -> speech_pb2.Persona:
    """Return a persona as callers see it: without its prompt and knowledge."""
    languages = persona.languages
    return speech_pb2.Persona(
        persona_id=persona.persona_id,
        display_name=persona.display_name,
        description=persona.description,
        language_codes=[each.language_code for each in languages],
        greetings={each.language_code: each.greeting for each in languages},
        sample_questions={each.language_code: each.sample_question for each in languages},
        display_names={
            each.language_code: each.display_name or persona.display_name for each in languages
        },
        descriptions={
            each.language_code: each.description or persona.description for each in languages
        },
        digital_human_id=persona.digital_human_id,
    )


def to_voice(voice: Voice) -> speech_pb2.Voice:
    """Return a voice."""
    return speech_pb2.Voice(
        voice_id=voice.voice_id,
        display_name=voice.display_name,
        language_codes=list(voice.language_codes),
    )
