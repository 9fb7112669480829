"""The events of a conversation, in terms of the domain."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from services.runtime.failures.errors import ServiceError
from services.speech.listening.interruption import UtteranceKind
from services.speech.playback.ledger import LedgerSummary
from services.speech.playback.ports import PlaybackMethod
from services.speech.ports.chat import ToolCall
from services.speech.ports.synthesis import WordTime
from services.speech.ports.usage import Usage
from services.speech.telemetry.waterfall import Mark
from services.speech.tools.calls import CallOutcome


class TurnOrigin(StrEnum):
    """Where a turn's words come from."""

    SPEECH = "speech"
    TEXT = "text"
    SAY = "say"
    PROMPT = "prompt"
    RESUMED = "resumed"
    GREETING = "greeting"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """The user's voice is heard, `start_s` into the input."""

    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded:
    """The user's utterance is over; its last voiced sample lies `end_s` into the input."""

    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechDismissed:
    """What sounded like the user speaking asks for nothing."""

    kind: UtteranceKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptUpdated:
    """A hypothesis of what the user says."""

    text: str
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """The user's words are taken, and a reply is being produced."""

    origin: TurnOrigin
    user_text: str
    language_code: str
    is_preemptive: bool = False
    discarded_replies: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyUpdated:
    """More text of the reply."""

    delta: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceStarted:
    """Characters [text_start, text_end) of the reply have become audio from `audio_s` on."""

    text: str
    text_start: int
    text_end: int
    audio_s: float
    words: tuple[WordTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted:
    """The digital human began to speak the reply."""

    method: PlaybackMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled:
    """The model calls a function of the app, which is to answer."""

    call: ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCall:
    """A call that was made in a turn, as it was when the turn ended.

    `outcome` is None for one that was still running.
    """

    call: ToolCall
    outcome: CallOutcome | None
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A finished waterfall: Unix time of its anchor, and seconds after it for each mark."""

    anchor_time: float
    offsets: Mapping[Mark, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished:
    """The turn is over and its reply was heard, wholly or in part."""

    reply_text: str
    heard_text: str
    is_interrupted: bool
    ledger: LedgerSummary
    latency: Latency
    usage: tuple[Usage, ...] = ()
    calls: tuple[MadeCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed:
    """The turn is over without a complete reply."""

    error: ServiceError
    reply_text: str
    heard_text: str
    ledger: LedgerSummary | None = None
    """None when it was lost with the process that kept it."""
    usage: tuple[Usage, ...] = ()
    calls: tuple[MadeCall, ...] = ()


Event: TypeAlias = (
    SpeechStarted
    | SpeechEnded
    | SpeechDismissed
    | TranscriptUpdated
    | TurnStarted
    | ReplyUpdated
    | SentenceStarted
    | PlaybackStarted
    | ToolCalled
    | TurnFinished
    | TurnFailed
)
