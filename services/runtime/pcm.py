"""Arithmetic of raw audio: mono signed 16-bit little-endian PCM."""

from collections.abc import AsyncIterator

SAMPLE_BYTES = 2


def duration_s(byte_count: int, rate_hertz: int) -> float:
    """Return how long so many bytes play."""
    return byte_count / (SAMPLE_BYTES * rate_hertz)


def byte_count(seconds: float, rate_hertz: int) -> int:
    """Return the bytes of the whole samples within a duration."""
    return int(seconds * rate_hertz) * SAMPLE_BYTES


async def regrouped(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Yield the same bytes in chunks of exactly `size`, the last one shorter."""
    pending = bytearray()
    async for chunk in chunks:
        pending += chunk
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    if pending:
        yield bytes(pending)
