"""Audio with a voice or without, and the detector that hears it by its loudness."""

RATE = 16_000
LOUD = b"\x00\x40" * 256
"""A frame in which the scripted detector hears a voice."""

QUIET = bytes(512)


def voiced(seconds: float) -> bytes:
    """Return audio in which the scripted detector hears a voice."""
    return LOUD * round(seconds * RATE / 256)


def silent(seconds: float) -> bytes:
    """Return audio without a voice."""
    return QUIET * round(seconds * RATE / 256)


class LoudnessDetector:
    """Hears a voice in frames whose first sample is loud."""

    @property
    def frame_bytes(self) -> int:
        """As earshot's."""
        return 512

    def speech_probability(self, frame: bytes) -> float:
        """0 or 1."""
        return float(frame[:2] != b"\x00\x00")
