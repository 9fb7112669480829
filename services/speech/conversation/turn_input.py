"""What a turn begins with: an input has an origin, a time, and perhaps a reply that has begun.

`start` is the character from which on the turn says the generated text.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from services.speech.conversation.events import TurnOrigin
from services.speech.dialogue.generation import Generation
from services.speech.listening.detector import Utterance
from services.speech.ports.recognition import Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptiveReply:
    """A reply to `user_text`, begun before the user had certainly finished, for turn `turn_id`."""

    turn_id: int
    user_text: str
    language_code: str
    generation: Generation

    def fits(self, user_text: str, language_code: str) -> bool:
        """Whether it answers what the user said in the end, marks and capitals aside."""
        is_same_language = self.language_code == language_code
        return is_same_language and _words(self.user_text) == _words(user_text)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenInput:
    """The user said something.

    `transcript` is its recognition if that has begun, `preemptive` a reply that has begun, and
    `discarded_replies` counts those that were begun and thrown away before. `is_committed` says
    that the caller, not the service, knows it for an utterance.
    """

    origin: ClassVar = TurnOrigin.SPEECH
    is_interruptible: ClassVar = True
    request_id: ClassVar = ""
    start: ClassVar = 0

    utterance: Utterance
    transcript: "asyncio.Task[Transcript] | None" = None
    preemptive: PreemptiveReply | None = None
    discarded_replies: int = 0
    is_committed: bool = False

    @property
    def generation(self) -> Generation | None:
        """The reply that has begun."""
        return self.preemptive.generation if self.preemptive is not None else None

    @property
    def arrived_at(self) -> float:
        """When the last voiced sample came, by the loop's clock."""
        return self.utterance.voiced_at


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenInput:
    """The user wrote something; `arrived_at` is a time of the loop's clock.

    A second input with the same `request_id` is the same one again; empty: it cannot be repeated.
    """

    origin: ClassVar = TurnOrigin.TEXT
    is_interruptible: ClassVar = True
    generation: ClassVar[None] = None
    start: ClassVar = 0

    text: str
    arrived_at: float
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedInput:
    """The application has something said; otherwise as `WrittenInput`.

    What is not interruptible is cut off by nobody but whoever has it said.
    """

    generation: ClassVar[None] = None
    start: ClassVar = 0

    text: str
    arrived_at: float
    origin: TurnOrigin = TurnOrigin.SAY
    request_id: str = ""
    is_interruptible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedInput:
    """A reply goes on from a character; `arrived_at` is a time of the loop's clock."""

    origin: ClassVar = TurnOrigin.RESUMED
    is_interruptible: ClassVar = True
    request_id: ClassVar = ""

    generation: Generation
    start: int
    arrived_at: float


TurnInput: TypeAlias = SpokenInput | WrittenInput | ScriptedInput | ResumedInput


def is_prompt(turn_input: TurnInput) -> bool:
    """Whether a turn asks a user who says nothing."""
    return turn_input.origin is TurnOrigin.PROMPT
