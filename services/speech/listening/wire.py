"""The audio that callers send, checked."""

from digitalhuman.audio.v1 import audio_pb2
from services.runtime.failures.errors import refused
from services.runtime.failures.reasons import Reason
from services.speech.ports.recognition import LISTENING_RATE_HERTZ


def check_input_format(given: audio_pb2.AudioFormat, field: str) -> None:
    """Refuse formats that nothing here can listen to; raises ServiceError."""
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
