"""What kind of answer a question asks for, and whether a sentence gives it."""

from dataclasses import dataclass
from enum import StrEnum

from services.speech.dialogue.claims import LENGTHS, MONEY, SPANS, WEIGHTS, names, values
from services.speech.dialogue.lexicon import ascii_apostrophes, lexicon_of
from services.speech.dialogue.words import sentences


class Kind(StrEnum):
    """What kind of answer an utterance asks for."""

    TALK = "talk"
    """None that is a fact: a greeting, a feeling, an opinion, advice, a story."""
    IDENTITY = "identity"
    """Whether the user is talking to a human."""
    NOW = "now"
    """Something that changes too often to be a fact: the time, the weather, the news, who holds an
    office."""
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


VALUE_KINDS = frozenset(Kind) - {
    *(Kind.TALK, Kind.IDENTITY, Kind.NOW, Kind.POLAR, Kind.CHOICE, Kind.OPEN)
}
"""Kinds whose answer is a name, a number, a place or a time: it is either known or made up."""

_ALSO_IN_STATEMENTS = frozenset(
    (Kind.OPEN, Kind.POLAR, Kind.PERSON, Kind.TIME, Kind.PLACE, Kind.FLOOR)
)
"""Kinds whose words also occur in statements: I know what you mean."""

_TIMES = frozenset(("clock", "weekday", "day", "year", "in the year", "in the month"))
_MIN_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An utterance and what its last question asks for."""

    text: str
    kind: Kind

    @classmethod
    def parse(cls, text: str) -> "Question":
        """Classify an utterance by the last of its sentences that asks for something."""
        kinds = [_classify(ascii_apostrophes(sentence).strip()) for sentence in sentences(text)]
        asked = [kind for kind in kinds if kind is not Kind.TALK]
        return cls(text=text, kind=asked[-1] if asked else Kind.TALK)

    @property
    def is_about_the_user(self) -> bool:
        """Whether only the user can know the answer: my birthday, our holidays."""
        return lexicon_of(self.text).about_user.search(ascii_apostrophes(self.text)) is not None

    def is_answered_by(self, sentence: str) -> bool:
        """Whether a sentence contains the kind of answer that the question asks for."""
        units = {value.unit for value in values(sentence)}
        words = lexicon_of(sentence)
        match self.kind:
            case Kind.AMOUNT:
                return bool(units & MONEY) or words.price_words.search(sentence) is not None
            case Kind.NUMBER:
                return bool(units & {"", "storey"})
            case Kind.FLOOR:
                return words.floor_words.search(sentence) is not None
            case Kind.AGE:
                return bool(units & SPANS)
            case Kind.SPAN:
                return bool(units & SPANS)
            case Kind.FREQUENCY:
                return bool(units & SPANS) or words.frequency_words.search(sentence) is not None
            case Kind.MEASURE:
                return bool(units & (LENGTHS | WEIGHTS | {"degree"}))
            case Kind.PERSON:
                return bool(names(sentence))
            case Kind.PLACE:
                return words.place_words.search(sentence) is not None or bool(names(sentence))
            case Kind.TIME:
                return bool(units & _TIMES) or words.time_words.search(sentence) is not None
            case Kind.CALL_NUMBER:
                return "@" in sentence or sum(map(str.isdigit, sentence)) >= _MIN_DIGITS
            case Kind.NOW:
                return False
            case _:
                return True


def _classify(sentence: str) -> Kind:
    words = lexicon_of(sentence)
    asked = words.introduction.sub("", words.introduction.sub("", sentence)).strip()
    is_statement = words.statement.match(asked) is not None
    for name, pattern in words.kinds:
        kind = Kind(name)
        if pattern.search(asked) and not (is_statement and kind in _ALSO_IN_STATEMENTS):
            return kind
    return Kind.TALK
