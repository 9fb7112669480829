"""Playback as in the contract of the avatar service."""

from dataclasses import replace

from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.conversation.v1 import conversation_pb2 as pb
from services.runtime.failures.errors import ServiceError
from services.runtime.wire import from_duration, from_timestamp
from services.speech.playback.ports import Playback, PlaybackMethod

_METHODS = {
    PlaybackMethod.ESTIMATED: pb.PLAYBACK_METHOD_ESTIMATED,
    PlaybackMethod.CONFIRMED: pb.PLAYBACK_METHOD_CONFIRMED,
    PlaybackMethod.CALLER: pb.PLAYBACK_METHOD_CALLER,
}
_METHODS_BY_VALUE = {value: method for method, value in _METHODS.items()}


def to_format(sample_rate_hertz: int) -> audio_pb2.AudioFormat:
    """Return the format of raw mono audio."""
    return audio_pb2.AudioFormat(
        encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE,
        sample_rate_hertz=sample_rate_hertz,
        channel_count=1,
    )


def to_playback_method(method: PlaybackMethod) -> pb.PlaybackMethod.ValueType:
    """Return how playback is known."""
    return _METHODS[method]


def from_playback_method(value: int) -> PlaybackMethod:
    """Return how playback is known; a method that this version does not know is an estimate."""
    return _METHODS_BY_VALUE.get(pb.PlaybackMethod.ValueType(value), PlaybackMethod.ESTIMATED)


def from_first_sent_time(
    position: avatar_pb2.DriveProgress | avatar_pb2.DriveFinished, *, reported_at: Timestamp
) -> float | None:
    """Return how long before the report the first audio was sent, both by the same clock."""
    if not position.HasField("first_sent_time"):
        return None
    return max(0.0, from_timestamp(reported_at) - from_timestamp(position.first_sent_time))


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
    """Return how far a lost drive came: its error may say so, in milliseconds."""
    sent_ms, played_ms = (error.metadata.get(key, "") for key in ("sent_ms", "played_ms"))
    if not (sent_ms.isdecimal() and played_ms.isdecimal()):
        return known
    return replace(known, sent_s=int(sent_ms) / 1000, played_s=int(played_ms) / 1000)
