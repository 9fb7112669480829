"""Speech to text."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from services.speech.ports.usage import OnUsage, ignore_usage

LISTENING_RATE_HERTZ = 16_000


class TurnEnd(StrEnum):
    """What a recognizer that detects turn ends makes of a pause."""

    LIKELY = "likely"
    """The speaker has probably finished."""
    RESUMED = "resumed"
    """The speaker goes on after what was a likely end."""
    CERTAIN = "certain"
    """The speaker has finished: the final transcript, before the audio ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedWord:
    """A word that was said, in seconds from the first sample of the utterance."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A hypothesis of what was said; each replaces the one before, until one is final.

    Beyond the words, a recognizer may know when each was said, how likely it is that nobody spoke
    (0..1), which language it clearly heard (BCP 47), regardless of the one requested, and whether
    the speaker has finished.
    """

    text: str
    is_final: bool
    words: tuple[TimedWord, ...] = ()
    no_speech_probability: float | None = None
    language_code: str = ""
    turn_end: TurnEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionRequest:
    """What a recognizer is told about an utterance.

    `language_codes` (BCP 47, at least one) are those that may be spoken, the likeliest first: of
    several, the recognizer finds out which. `hot_words` are names and terms to expect.
    """

    language_codes: tuple[str, ...]
    hot_words: tuple[str, ...] = ()
    on_usage: OnUsage = field(default=ignore_usage, compare=False)

    @property
    def language_code(self) -> str:
        """The likeliest language."""
        return self.language_codes[0]


class Recognizer(Protocol):
    """Speech to text."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""

    @property
    def is_streaming(self) -> bool:
        """Whether hypotheses come while audio arrives, so that it is worth sending it live."""

    @property
    def detects_turn_ends(self) -> bool:
        """Whether its transcripts say when the speaker has finished."""

    def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield hypotheses of one utterance while audio arrives; exactly one is final, the last.

        The final one comes after the audio has ended, or before with the turn end CERTAIN.
        """
