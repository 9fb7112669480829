"""Arithmetic on raw audio: mono signed 16-bit little-endian PCM."""

import math
import struct

SAMPLE_BYTES = 2


def duration_s(byte_count: int, rate_hertz: int) -> float:
    """Return how long this many bytes play."""
    return byte_count / (SAMPLE_BYTES * rate_hertz)


def byte_count(seconds: float, rate_hertz: int) -> int:
    """Return the number of bytes of the whole samples within a duration."""
    return int(seconds * rate_hertz) * SAMPLE_BYTES


def root_mean_square(pcm: bytes | bytearray) -> float:
    """Return the level of whole samples, up to 32768."""
    # 20 µs for 60 ms: to load a library that is faster would take 40 ms of a start.
    count = len(pcm) // SAMPLE_BYTES
    return math.hypot(*struct.unpack(f"<{count}h", pcm)) / math.sqrt(count)
