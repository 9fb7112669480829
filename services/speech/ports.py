"""What a conversation needs from outside: small interfaces that providers implement.

Incoming audio is mono PCM16 little-endian at 16 kHz (`LISTENING_RATE_HERTZ`); outgoing audio has
the synthesizer's own rate. A provider that fails raises `ProviderError`, never an error of its
library. So does one that stops responding: a delay that means failure for a provider on the network
is normal for a model on a busy machine, so each provider enforces its own deadlines. Closing an
async iterator early cancels the provider's work.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, Self, TypeAlias

from services.speech.control_tokens import (
    json_without_control_tokens,
    schema_without_control_tokens,
    without_control_tokens,
)

LISTENING_RATE_HERTZ = 16_000


class Stage(StrEnum):
    """The part of a turn that a provider serves."""

    RECOGNITION = "recognition"
    CHAT = "chat"
    SYNTHESIS = "synthesis"


class ProviderError(Exception):
    """A provider failed; `transient` says whether the same call may succeed later.

    `vendor_message` is the vendor's own message, shortened and without keys, for the log only.
    `retry_after_s` is how long the vendor asks to be left alone, None where it does not say.
    """

    def __init__(
        self,
        stage: Stage,
        provider: str,
        message: str,
        *,
        transient: bool,
        vendor_message: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.provider = provider
        self.transient = transient
        self.vendor_message = vendor_message
        self.retry_after_s = retry_after_s


class _TransientError(ProviderError):
    """A failure that is always transient."""

    def __init__(
        self,
        stage: Stage,
        provider: str,
        message: str,
        *,
        vendor_message: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(
            stage,
            provider,
            message,
            transient=True,
            vendor_message=vendor_message,
            retry_after_s=retry_after_s,
        )


class ProviderQuotaError(_TransientError):
    """A provider refuses more work for now: its quota or rate limit is used up."""


class ProviderMuteError(_TransientError):
    """A provider succeeded without producing anything where it had to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What requests to a provider used: `audio_s` is what was sent to it, or what it spoke.

    `cached_tokens` are a part of the input's; `estimated_tokens` are those of all that the vendor
    did not count itself. `cost_micros` is in millionths of the currency, 0 where no price is known.
    """

    stage: Stage
    provider: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    estimated_tokens: int = 0
    characters: int = 0
    audio_s: float = 0.0
    currency: str = ""
    cost_micros: int = 0


OnUsage: TypeAlias = Callable[[Usage], None]
"""Gets what a request used once it is over, however it ended."""


def ignore_usage(usage: Usage) -> None:
    """Nobody wants to know."""


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
class SpeechEvidence:
    """Acoustic evidence that an utterance is speech, regardless of its words.

    `peak` is the detector's highest probability of speech over 0.13 s. `stillness` (0..1) is the
    share of the voiced sound whose spectrum does not change, as in notes and tones.
    """

    peak: float
    voiced_s: float
    stillness: float


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


class Role(StrEnum):
    """The author of a chat message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    def without_control_tokens(self) -> Self:
        """Return the tool with plain descriptions: a server elsewhere may have written them."""
        return replace(
            self,
            description=without_control_tokens(self.description),
            parameters=schema_without_control_tokens(self.parameters),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model calls a tool; `arguments` is JSON text as the model wrote it, perhaps invalid."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of the dialogue that a chat model continues.

    An ASSISTANT message may call tools; for each call a TOOL message follows, whose content is the
    result of the call that `call_id` names. No message holds a control token of any model: whoever
    wrote a part of it has no say in which role the model takes the rest for.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""

    def __post_init__(self) -> None:
        """Break control tokens, also in calls that the model itself has written."""
        plain = tuple(
            replace(each, arguments=json_without_control_tokens(each.arguments))
            for each in self.tool_calls
        )
        object.__setattr__(self, "content", without_control_tokens(self.content))
        object.__setattr__(self, "tool_calls", plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A dialogue to continue, and the tools that the model may call."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...] = ()
    on_usage: OnUsage = field(default=ignore_usage, compare=False)

    def __post_init__(self) -> None:
        """Break control tokens in what is said of tools."""
        plain = tuple(each.without_control_tokens() for each in self.tools)
        object.__setattr__(self, "tools", plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatUsage:
    """The tokens of a reply as the vendor counts them; `cached` is a part of `input`."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int


ChatItem: TypeAlias = str | ToolCall | ChatUsage
"""A piece of a reply: a delta of the text that is spoken, a whole call, or what it all used."""


class ChatModel(Protocol):
    """A language model that continues a dialogue."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply as it is written, without the model's thoughts.

        A reply has a word or a call; one without either is a ProviderMuteError.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTime:
    """When characters [start, end) of a text are heard, in seconds from the start of its audio."""

    start: int
    end: int
    start_s: float
    end_s: float

    def moved(self, characters: int, seconds: float) -> Self:
        """Return the word so many characters and seconds later; both may be negative."""
        # Not by `replace`, which takes several times as long, for each word of a reply.
        return type(self)(
            start=self.start + characters,
            end=self.end + characters,
            start_s=self.start_s + seconds,
            end_s=self.end_s + seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """How a reply is spoken; what a vendor cannot do is left out.

    `speed` is a factor. `style` and `emotion` are the vendor's own names, empty for its default.
    """

    voice_id: str
    language_code: str
    speed: float = 1.0
    style: str = ""
    emotion: str = ""
    on_usage: OnUsage = field(default=ignore_usage, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechChunk:
    """A piece of a reply's audio: whole samples, perhaps none.

    Characters count from the beginning of the reply's first text, with all texts joined; times
    count from the first sample of its audio. `words` are those that became known with this chunk,
    for audio before or after it. `text_end` says that this chunk ends the audio of all characters
    before that one.
    """

    pcm: bytes
    words: tuple[WordTime, ...] = ()
    text_end: int | None = None

    def moved(self, characters: int, seconds: float) -> Self:
        """Return the chunk as one of a reply that began so much earlier."""
        if not (characters or seconds):
            return self
        return replace(
            self,
            words=tuple(each.moved(characters, seconds) for each in self.words),
            text_end=None if self.text_end is None else self.text_end + characters,
        )

    def then(self, following: Self) -> Self:
        """Return this chunk and the following one as one."""
        return replace(
            self,
            pcm=self.pcm + following.pcm,
            words=self.words + following.words,
            text_end=self.text_end if following.text_end is None else following.text_end,
        )


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

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of one reply, whose texts are its speakable clauses as they come.

        A text is requested as soon as the synthesizer can take it.
        """
