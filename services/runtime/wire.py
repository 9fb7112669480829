"""Durations and times: seconds in the domain, messages in the contracts."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def to_duration(seconds: float) -> Duration:
    """Return a duration, to the microsecond."""
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration


def from_duration(duration: Duration) -> float:
    """Return seconds."""
    return duration.seconds + duration.nanos / 1e9


def to_timestamp(unix_time: float) -> Timestamp:
    """Return a timestamp, to the microsecond."""
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(unix_time * 1e6))
    return timestamp


def from_timestamp(timestamp: Timestamp) -> float:
    """Return Unix seconds."""
    return timestamp.seconds + timestamp.nanos / 1e9
