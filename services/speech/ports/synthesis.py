"""Text to speech."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from services.speech.ports.usage import OnUsage, ignore_usage


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
