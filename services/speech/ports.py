"""What a conversation needs from the outside: small interfaces that providers implement.

Audio that comes in is mono PCM16 little-endian at 16 kHz (`LISTENING_RATE_HERTZ`); audio that goes
out has the synthesizer's own rate. A provider that fails raises `ProviderError`, never its
library's own errors. Closing an async iterator early cancels the provider's work.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

LISTENING_RATE_HERTZ = 16_000


class Stage(StrEnum):
    """The part of a turn that a provider serves."""

    RECOGNITION = "recognition"
    CHAT = "chat"
    SYNTHESIS = "synthesis"


class ProviderError(Exception):
    """A provider failed; `transient` says whether the same call may succeed later."""

    def __init__(self, stage: Stage, provider: str, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.stage = stage
        self.provider = provider
        self.transient = transient


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A hypothesis of what was said; a later one replaces it until one is final."""

    text: str
    is_final: bool


class Recognizer(Protocol):
    """Speech to text."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""

    def transcribe(
        self, pcm: AsyncIterator[bytes], *, language_code: str
    ) -> AsyncIterator[Transcript]:
        """Yield hypotheses while audio arrives; exactly one final, the last, after it has ended."""


class Role(StrEnum):
    """Who says a chat message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of the dialogue that a chat model continues."""

    role: Role
    content: str


class ChatModel(Protocol):
    """A language model that continues a dialogue."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""

    def stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        """Yield the reply's text as deltas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTime:
    """When characters [start, end) of a text are heard, in seconds from its first sample."""

    start: int
    end: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechChunk:
    """Some of a text's audio; `words` spans the whole text and comes first, if at all."""

    pcm: bytes
    words: tuple[WordTime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A voice that a synthesizer offers."""

    voice_id: str
    display_name: str
    language_codes: tuple[str, ...]


class Synthesizer(Protocol):
    """Text to speech."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""

    @property
    def sample_rate_hertz(self) -> int:
        """16000 or 24000: the rates that the digital-human cloud plays."""

    @property
    def voices(self) -> Sequence[Voice]:
        """All voices on offer."""

    def synthesize(
        self, text: str, *, voice_id: str, language_code: str
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of one speakable clause or sentence in whole samples."""


class Embedder(Protocol):
    """Texts as unit vectors whose dot product is their likeness."""

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (len(texts), dimensions)."""

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Shape (dimensions,)."""


class VoiceDetector(Protocol):
    """Speech or not, for one audio stream; keeps state between frames."""

    @property
    def frame_bytes(self) -> int:
        """The exact size of a frame."""

    def speech_probability(self, frame: bytes) -> float:
        """0..1 for the next frame of the stream."""


class TurnEndModel(Protocol):
    """Whether a speaker who pauses has finished."""

    async def completion_probability(self, pcm: bytes) -> float:
        """0..1 for an utterance that ends in a pause."""
