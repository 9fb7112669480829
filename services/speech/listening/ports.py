"""What listening needs from outside, beside a recogniser."""

from typing import Protocol


class VoiceDetector(Protocol):
    """Voice activity detection for one audio stream; keeps state between frames."""

    @property
    def frame_bytes(self) -> int:
        """The exact size of a frame."""

    def speech_probability(self, frame: bytes) -> float:
        """Return the probability (0..1) for the next frame of the stream."""


class TurnEndModel(Protocol):
    """Whether a speaker who pauses has finished the turn."""

    async def completion_probability(self, pcm: bytes) -> float:
        """Return the probability (0..1) for an utterance that ends in a pause."""
