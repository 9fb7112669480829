"""What a conversation needs from outside: small interfaces that providers implement.

Incoming audio is mono PCM16 little-endian at 16 kHz (`LISTENING_RATE_HERTZ`); outgoing audio has
the synthesizer's own rate. A provider that fails raises `ProviderError`, never its library's own
errors. So does one that stalls: what is too long for a provider on the network is nothing unusual
for a model on a busy machine, so each keeps its own deadlines. Closing an async iterator early
cancels the provider's work.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
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
    """A provider failed; `transient` says whether the same call may succeed later.

    `vendor_message` is what the vendor itself says, short and without keys, for the log only.
    """

    def __init__(
        self,
        stage: Stage,
        provider: str,
        message: str,
        *,
        transient: bool,
        vendor_message: str = "",
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.provider = provider
        self.transient = transient
        self.vendor_message = vendor_message


class ProviderQuotaError(ProviderError):
    """A provider refuses more work for now: its quota or rate limit is used up."""

    def __init__(
        self, stage: Stage, provider: str, message: str, *, vendor_message: str = ""
    ) -> None:
        super().__init__(stage, provider, message, transient=True, vendor_message=vendor_message)


class ProviderMuteError(ProviderError):
    """A provider ended normally, without the answer that it owes."""

    def __init__(
        self, stage: Stage, provider: str, message: str, *, vendor_message: str = ""
    ) -> None:
        super().__init__(stage, provider, message, transient=True, vendor_message=vendor_message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A hypothesis of what was said; a later one replaces it until one is final.

    Beyond the words, a recognizer may know how likely it is that nobody spoke, 0..1, and which
    language it clearly heard (BCP 47), whichever it was asked for.
    """

    text: str
    is_final: bool
    no_speech_probability: float | None = None
    language_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEvidence:
    """Evidence that an utterance is speech, whatever its words are.

    `peak` is the detector's highest probability of speech, over 0.13 s. `stillness` is the share
    of the voiced sound in which nothing moves, as in notes and tones, 0..1.
    """

    peak: float
    voiced_s: float
    stillness: float


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
    """The author of a chat message."""

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
    """Some of a text's audio; `words`, if given, replaces the word times given before."""

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
    """Texts as unit vectors whose dot product is their similarity."""

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (len(texts), dimensions)."""

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Shape (dimensions,)."""


class VoiceDetector(Protocol):
    """Detects speech in one audio stream; keeps state between frames."""

    @property
    def frame_bytes(self) -> int:
        """The exact size of a frame."""

    def speech_probability(self, frame: bytes) -> float:
        """0..1 for the next frame of the stream."""


class TurnEndModel(Protocol):
    """Judges whether a speaker who pauses has finished."""

    async def completion_probability(self, pcm: bytes) -> float:
        """0..1 for an utterance that ends in a pause."""


class PlaybackMethod(StrEnum):
    """How playback is known."""

    ESTIMATED = "estimated"
    CONFIRMED = "confirmed"
    CALLER = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """How far a reply is; its first audio was sent at `first_sent_at` of the loop's clock."""

    sent_s: float = 0.0
    played_s: float = 0.0
    method: PlaybackMethod = PlaybackMethod.ESTIMATED
    first_sent_at: float | None = None
    is_interrupted: bool = False


class DriveWatcher(Protocol):
    """Is told what happens to a drive; never blocks."""

    def drive_ready(self) -> None:
        """Audio is awaited at the far end."""

    def playback_started(self, method: PlaybackMethod) -> None:
        """The first sample is heard."""


class Drive(Protocol):
    """One reply on its way to where it is heard.

    A drive that is lost raises ServiceError from then on; `playback` stays as last known.
    """

    @property
    def playback(self) -> Playback:
        """How far the reply is, as last known."""

    async def send(self, pcm: bytes) -> bool:
        """Add whole samples; waits while too much of the reply is not yet played.

        False when the drive is over already and nobody will hear more.
        """

    async def finish(self) -> Playback:
        """Declare that no audio follows, and wait until all of it is played or cut off."""

    async def interrupt(self) -> Playback:
        """Stop playing now, drop the rest, and say how far it came."""


class Speaker(Protocol):
    """Where replies are heard."""

    def open(
        self, *, turn_id: int, sample_rate_hertz: int, watcher: DriveWatcher
    ) -> AbstractAsyncContextManager[Drive]:
        """A drive for one reply; entering does not wait for the far end."""
