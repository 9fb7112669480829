"""What kind of thing a question asks for, and whether a sentence is of that kind."""

from dataclasses import dataclass
from enum import StrEnum

from services.speech.dialogue.claims import LENGTHS, MONEY, SPANS, WEIGHTS, names, values
from services.speech.dialogue.lexicon import lexicon_of, straight
from services.speech.dialogue.words import sentences


class Kind(StrEnum):
    """What would answer an utterance."""

    TALK = "talk"
    """It asks for no fact: a greeting, a feeling, an opinion, advice, a story."""
    IDENTITY = "identity"
    """Whether a human is speaking."""
    NOW = "now"
    """What no fact can hold: the time, the date, the weather, the news, who holds an office."""
    POLAR = "polar"
    """Yes or no."""
    AMOUNT = "amount"
    NUMBER = "number"
    AGE = "age"
    SPAN = "span"
    FREQUENCY = "frequency"
    MEASURE = "measure"
    PERSON = "person"
    PLACE = "place"
    FLOOR = "floor"
    TIME = "time"
    CALL_NUMBER = "call number"
    """A telephone number or an address."""
    CHOICE = "choice"
    OPEN = "open"
    """What, why, how."""


VALUES = frozenset(Kind) - {
    *(Kind.TALK, Kind.IDENTITY, Kind.NOW, Kind.POLAR, Kind.CHOICE, Kind.OPEN)
}
"""Kinds whose answer is a name, a number, a place or a time: such are known or made up."""

_UNMARKED = frozenset((Kind.OPEN, Kind.POLAR, Kind.PERSON, Kind.TIME, Kind.PLACE, Kind.FLOOR))
"""Their words stand in statements as well: I know what you mean."""

_TIMES = frozenset(("clock", "weekday", "day", "year", "in the year", "in the month"))
_LONG_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An utterance and the kind of its last question."""

    text: str
    kind: Kind

    @classmethod
    def read(cls, text: str) -> "Question":
        """Find out what is asked for; the last sentence that asks for something counts."""
        kinds = [_kind(straight(sentence).strip()) for sentence in sentences(text)]
        asked = [kind for kind in kinds if kind is not Kind.TALK]
        return cls(text=text, kind=asked[-1] if asked else Kind.TALK)

    @property
    def is_about_the_user(self) -> bool:
        """Whether the user alone can know the answer: my birthday, our holidays."""
        return lexicon_of(self.text).about_user.search(straight(self.text)) is not None

    def is_answered_by(self, sentence: str) -> bool:
        """Whether a sentence holds what the question asks for."""
        units = {value.unit for value in values(sentence)}
        words = lexicon_of(sentence)
        match self.kind:
            case Kind.AMOUNT:
                return bool(units & MONEY) or words.gratis.search(sentence) is not None
            case Kind.NUMBER:
                return bool(units & {"", "storey"})
            case Kind.FLOOR:
                return words.storey.search(sentence) is not None
            case Kind.AGE:
                return bool(units & SPANS)
            case Kind.SPAN:
                return bool(units & SPANS)
            case Kind.FREQUENCY:
                return bool(units & SPANS) or words.frequent.search(sentence) is not None
            case Kind.MEASURE:
                return bool(units & (LENGTHS | WEIGHTS | {"degree"}))
            case Kind.PERSON:
                return bool(names(sentence))
            case Kind.PLACE:
                return words.located.search(sentence) is not None or bool(names(sentence))
            case Kind.TIME:
                return bool(units & _TIMES) or words.timed.search(sentence) is not None
            case Kind.CALL_NUMBER:
                return "@" in sentence or sum(map(str.isdigit, sentence)) >= _LONG_DIGITS
            case Kind.NOW:
                return False
            case _:
                return True


def _kind(sentence: str) -> Kind:
    words = lexicon_of(sentence)
    asked = words.preface.sub("", words.preface.sub("", sentence)).strip()
    is_statement = words.statement.match(asked) is not None
    for name, pattern in words.kinds:
        kind = Kind(name)
        if pattern.search(asked) and not (is_statement and kind in _UNMARKED):
            return kind
    return Kind.TALK
