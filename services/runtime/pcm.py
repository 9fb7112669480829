"""Arithmetic on raw audio: mono signed 16-bit little-endian PCM."""

SAMPLE_BYTES = 2


def duration_s(byte_count: int, rate_hertz: int) -> float:
    """Return how long this many bytes play."""
    return byte_count / (SAMPLE_BYTES * rate_hertz)


def byte_count(seconds: float, rate_hertz: int) -> int:
    """Return the number of bytes of the whole samples within a duration."""
    return int(seconds * rate_hertz) * SAMPLE_BYTES
