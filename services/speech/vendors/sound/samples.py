"""Whole samples out of pieces that are cut anywhere."""

from services.runtime.pcm import SAMPLE_BYTES


class WholeSamples:
    """Holds the rest of a sample back until the piece that completes it."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_incomplete(self) -> bool:
        """Whether a sample has begun that is not complete."""
        return bool(self._rest)

    def add(self, piece: bytes) -> bytes:
        """Return the samples that a piece completes."""
        pcm = self._rest + piece
        size = len(pcm) - len(pcm) % SAMPLE_BYTES
        self._rest = pcm[size:]
        return pcm[:size]
