"""What a vendor's server can be told to do, and what it remembers of what it was told.

A server of the suite speaks one vendor's protocol as the vendor documents it. What it says is the
same for all vendors, so that one test serves all of them: it hears the `utterance` and writes the
`reply` that a test sets, and each character that it speaks sounds like `sound_of` says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from services.speech.ports.chat import ToolCall

KEY = "sk-5ecre7-0f-a-c0nf0rmance-tes7"
"""The key that each adapter is given; servers repeat it in their refusals."""

RETRY_AFTER_S = 7.0
"""How long a server that refuses by a status asks to be left alone."""
WORD_S = 0.2
"""How long each word of an utterance lasts; the first begins at 0."""
CHARACTER_S = 0.02
"""How long each spoken character lasts; blanks are not heard."""


class Trouble(Enum):
    """What goes wrong with everything that a server is asked, as long as it is set."""

    WRONG_KEY = auto()
    """The key is refused."""
    QUOTA = auto()
    """The account has no money, or no quota, left."""
    RATE_LIMIT = auto()
    """Too many requests; if the protocol can say so, with when to come back."""
    UNAVAILABLE = auto()
    """The vendor is down, and says so."""
    SILENCE = auto()
    """Connections are accepted, input is taken and pings are answered, and that is all."""
    GARBAGE = auto()
    """In place of an answer comes a message whose kind is known and whose shape is wrong."""
    UNKNOWN = auto()
    """Before each message come some of kinds, and with members, that nobody has documented."""
    CUT = auto()
    """The connection breaks after the first piece of the answer."""
    CLOSE = auto()
    """The vendor closes after the first piece of the answer, as for an internal error."""
    EARLY_END = auto()
    """The vendor closes after the first piece of the answer, as if all were well."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One utterance or reply, as the server saw it."""

    is_finished: bool = False
    """All input came, and its end as the protocol has it."""
    has_ended: bool = False
    """Nothing more comes: it is finished, was cancelled, or has lost its connection."""


@dataclass(slots=True, kw_only=True)
class Heard(Session):
    """An utterance; `languages` are those that were named, as primary subtags."""

    languages: tuple[str, ...] = ()
    hot_words: tuple[str, ...] = ()
    audio: bytes = b""
    packets: int = 0
    """How many messages the sound came in."""


@dataclass(slots=True, kw_only=True)
class Spoken(Session):
    """A spoken reply, or a text of one where each text is its own request."""

    voice_id: str = ""
    language: str = ""
    speed: float = 1.0
    delivery: str = ""
    """What it was told of style and emotion, wherever the vendor takes that."""
    texts: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Asked(Session):
    """A written reply; `document` is the body of the request."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What a recognizer hears: a partial for each packet of sound, while there are some.

    The final words follow the end of the sound. If it `ends_itself`, they come without it, and
    before them that the turn has perhaps ended, that it goes on, and that it has perhaps ended
    again, as far as the vendor says so.
    """

    partials: Sequence[str] = ("Good", "Good morning")
    final: str = "Good morning, Parley."
    ends_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model writes: thoughts, then deltas, then calls."""

    deltas: Sequence[str] = ("Good ", "mor", "ning, 早上好！")
    thoughts: str = ""
    calls: Sequence[ToolCall] = ()
    input_tokens: int = 12
    cached_tokens: int = 5
    output_tokens: int = 7


class Server(Protocol):
    """A vendor's server on this machine."""

    url: str
    """What the adapter gets as its base URL."""
    trouble: Trouble | None
    heads: list[Mapping[str, str]]
    """The headers of each connection or request, by their names in lower case."""

    @property
    def sessions(self) -> Sequence[Session]:
        """All that it was asked, in order."""

    @property
    def connection_count(self) -> int:
        """How many connections are open."""

    async def close_idle(self) -> None:
        """Close all connections in good order, as a vendor does with those that idle."""

    def lose_idle(self) -> None:
        """Lose all connections without a word: what the other side sends goes nowhere."""


class RecognitionServer(Server, Protocol):
    """A vendor's recognizer."""

    utterance: Utterance

    @property
    def sessions(self) -> Sequence[Heard]:
        """All utterances."""


class SynthesisServer(Server, Protocol):
    """A vendor's voice."""

    @property
    def sessions(self) -> Sequence[Spoken]:
        """All replies, or all texts where each is a request."""


class ChatServer(Server, Protocol):
    """A vendor's language model."""

    reply: Reply

    @property
    def sessions(self) -> Sequence[Asked]:
        """All requests."""


def sound_of(text: str, rate_hertz: int) -> bytes:
    """Return how a text sounds: each character that is no blank as loud as its code."""
    samples = round(CHARACTER_S * rate_hertz)
    return b"".join(
        (ord(each) % 255 + 1).to_bytes(2, "little") * samples for each in text if each.strip()
    )


def sounds_at(text: str, place: int) -> float:
    """Return when the character at a place of a text is heard, in seconds."""
    return CHARACTER_S * sum(bool(each.strip()) for each in text[:place])


def pieces(sound: bytes, size: int = 1_001) -> list[bytes]:
    """Return sound in pieces that end within samples."""
    return [sound[place : place + size] for place in range(0, len(sound), size)]
