"""Tells whether what a sentence claims is carried by facts, by what was said, or by nothing."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

from services.speech.dialogue.arithmetic import (
    equations,
    gives_other_result,
    has_false_equation,
    has_sum,
    is_result,
    results,
)
from services.speech.dialogue.claims import MONEY, SPANS, Value, names, values
from services.speech.dialogue.lexicon import is_chinese, lexicon_of, straight
from services.speech.dialogue.question import VALUES, Kind, Question
from services.speech.dialogue.sums import Sum, sums
from services.speech.dialogue.words import Vocabulary, content_words, sentences
from services.speech.personas.format import Grounding

MOST_UNKNOWN_SHARE = 0.34
"""Of the words of a sentence, so many may stand in no fact: those that link and embellish."""

MOST_OTHER_SHARE = 0.5
"""So many of a sentence's words may miss from the fact that carries its number: the price of one
thing is not that of another."""

SMALL_NUMBER = 12
"""Up to this, a bare number in small talk is a way of speaking: two deep breaths."""

_UNVOUCHED = MONEY | {"clock", "weekday", "in the year", "in the month"}
"""A user's word is no ground for a price, a time or a day of the house."""

_OF_SUMS = frozenset((Kind.OPEN, Kind.NUMBER, Kind.AMOUNT, Kind.TALK))
"""Kinds of questions whose signs are those of a sum: open 9-5 is none."""

_CLAUSE = re.compile(r"[,;，；、]\s*")
_WORD = re.compile(r"[\w'’-]+")
_ASKS = re.compile(r"[?？]\W*$")


class Ungrounded(StrEnum):
    """What in a sentence nothing carries."""

    SCOPE = "scope"
    """The question itself: the model was not asked."""
    IDENTITY = "identity"
    SUM = "sum"
    NUMBER = "number"
    NAME = "name"
    FACT = "fact"


@dataclass(frozen=True)
class Grounds:
    """What a reply to a question may rest on.

    `facts` are those that fit the question and what the persona is told of itself, `others` the
    facts beside them; `told` is what the user said, `heard` what the persona said before, which
    was grounded then.
    """

    question: Question
    grounding: Grounding
    facts: tuple[str, ...]
    others: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()

    def missing(self, sentence: str) -> Ungrounded | None:
        """Return what in a sentence nothing carries; None when all of it is carried."""
        if lexicon_of(sentence).human.search(straight(sentence)):
            return Ungrounded.IDENTITY
        if has_false_equation(sentence):
            return Ungrounded.SUM
        if self._asks_sum and gives_other_result(sentence, self.question.text):
            return Ungrounded.SUM
        if any(not self._carries(value, sentence) for value in values(sentence)):
            return Ungrounded.NUMBER
        if any(not self._knows(name) for name in names(sentence)):
            return Ungrounded.NAME
        if self._makes_claim(sentence) and not self._carries_words(sentence):
            return Ungrounded.FACT
        return None

    def says_something(self, text: str) -> bool:
        """Whether a part of a sentence can be told from an invention by itself.

        In the answer to a question of fact none can: free for children, and for adults as it goes
        on.
        """
        if self._asks_fact:
            return False
        return not _agrees(text) and len(content_words(text)) > 1

    def _carries(self, value: Value, sentence: str) -> bool:
        if self._asks_sum:
            return self._carries_in_sum(value, sentence)
        if any(ground.carries(value, sentence) for ground in self._grounds):
            return True
        if value.unit not in _UNVOUCHED and any(value.agrees(each) for each in self._told_values):
            return True
        if value.amount in results(self.question.text):
            return True
        if value.unit == "" and _is_of_sum(value, equations(sentence)):
            return True  # A right one: those that are false were found before.
        if value.amount == 1 and value.unit in SPANS and self.question.kind not in VALUES:
            return True  # A way of speaking, where no number is asked for: what a day.
        is_talk = self.question.kind is Kind.TALK and not _is_of_house(sentence)
        return is_talk and value.amount <= SMALL_NUMBER and value.unit in ("", "second", "minute")

    def _carries_in_sum(self, value: Value, sentence: str) -> bool:
        """Whether a number belongs to the sum that is asked for; none of a fact does."""
        asked = sums(self.question.text)
        worked = sums(sentence) if _ASKS.search(sentence) else equations(sentence)
        return _is_of_sum(value, (*asked, *worked))

    def _knows(self, name: str) -> bool:
        return name.casefold() in (self._names if is_chinese(name) else self._named_words)

    def _makes_claim(self, sentence: str) -> bool:
        if self.grounding is not Grounding.STRICT or _ASKS.search(sentence):
            return False
        if lexicon_of(sentence).admission.search(straight(sentence)):
            return False
        if equations(sentence) or (self._asks_sum and has_sum(sentence)):
            return False
        return self._asks_fact or _is_of_house(sentence)

    @cached_property
    def _asks_sum(self) -> bool:
        return self.question.kind in _OF_SUMS and has_sum(self.question.text)

    @property
    def _asks_fact(self) -> bool:
        return self.question.kind not in (Kind.TALK, Kind.IDENTITY)

    def _carries_words(self, sentence: str) -> bool:
        words = content_words(sentence)
        unknown = self._vocabulary.missing(words)
        if lexicon_of(sentence).of_user.search(sentence):
            unknown = Vocabulary(self.told).missing(unknown)
        if not words:
            return not _agrees(sentence) or not self._unknown_asked
        most = MOST_UNKNOWN_SHARE * len(words)
        missing = [ground.missing(words) for ground in self._grounds]
        if self.question.kind is not Kind.POLAR:
            missing.append(unknown)  # A yes is no sum of what several texts say.
        if not any(len(each) <= most and not self._repeats(each) for each in missing):
            return False
        return all(self._agrees_in_negation(clause) for clause in _clauses(sentence))

    def _repeats(self, words: Sequence[str]) -> bool:
        """Whether the question names one of some words: that is no ground to affirm it."""
        return any(word in self._asked for word in words)

    def _agrees_in_negation(self, clause: str) -> bool:
        """Whether what is said of the same thing is denied in both places or in neither."""
        said = _Clause(clause)
        best = max((each for ground in self._grounds for each in ground.clauses), key=said.likeness)
        return said.likeness(best) == 0 or best.is_negative == said.is_negative

    @cached_property
    def _unknown_asked(self) -> tuple[str, ...]:
        return self._vocabulary.missing(self._asked)

    @cached_property
    def _asked(self) -> tuple[str, ...]:
        return content_words(self.question.text)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary((*self.facts, *self.heard))

    @cached_property
    def _grounds(self) -> tuple["_Ground", ...]:
        return tuple(_ground(text) for text in (*self.facts, *self.heard, *self.others))

    @cached_property
    def _told_values(self) -> tuple[Value, ...]:
        return _values((*self.told, self.question.text))

    @cached_property
    def _names(self) -> str:
        texts = (*self.facts, *self.others, *self.told, *self.heard, self.question.text)
        return "\n".join(texts).casefold()

    @cached_property
    def _named_words(self) -> frozenset[str]:
        return frozenset(_WORD.findall(self._names))


class _Ground:
    """One text that carries claims, and its sentences."""

    def __init__(self, text: str) -> None:
        told = (each for each in sentences(text) if not _ASKS.search(each))
        self.clauses = [_Clause(clause) for each in told for clause in _clauses(each)]
        self._values = values(text)
        self._vocabulary = Vocabulary((text,))

    def carries(self, value: Value, sentence: str) -> bool:
        """Whether the text says the value, and of the same thing."""
        if not any(value.agrees(known) for known in self._values):
            return False
        words = content_words(sentence)
        return len(self.missing(words)) <= MOST_OTHER_SHARE * len(words)

    def missing(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words that do not stand in the text."""
        return self._vocabulary.missing(words)


@lru_cache(maxsize=4096)
def _ground(text: str) -> _Ground:
    return _Ground(text)


def read_ahead(facts: Iterable[str]) -> None:
    """Read facts before a reply needs them, as they are the same in every one."""
    for fact in facts:
        _ground(fact)


class _Clause:
    """A part of a sentence that affirms or denies."""

    def __init__(self, text: str) -> None:
        self.is_negative = lexicon_of(text).negation.search(straight(text)) is not None
        self._words = content_words(text)
        self._values = values(text)
        self._vocabulary = Vocabulary((text,))

    def likeness(self, other: "_Clause") -> int:
        """How many words and values the clauses share; values count for more."""
        words = len(self._words) - len(other._vocabulary.missing(self._words))
        shared = sum(any(value.agrees(each) for each in other._values) for value in self._values)
        return words + 3 * shared


def _clauses(sentence: str) -> list[str]:
    return [clause for clause in _CLAUSE.split(sentence) if clause.strip()]


def _is_of_sum(value: Value, sums: Iterable[Sum]) -> bool:
    amount = value.amount / 100 if value.unit == "percent" else value.amount
    return any(is_result(amount, each) for sum_ in sums for each in (*sum_.operands, *sum_.steps))


def _is_of_house(sentence: str) -> bool:
    return lexicon_of(sentence).of_house.search(sentence) is not None


def is_bare_agreement(text: str) -> bool:
    """Whether a text says yes or no and nothing else."""
    return _agrees(text) and not content_words(text)


def _agrees(text: str) -> bool:
    """Whether a text begins by saying yes or no."""
    return lexicon_of(text).agreement.match(text.lstrip()) is not None


def _values(texts: Iterable[str]) -> tuple[Value, ...]:
    return tuple(value for text in texts for value in values(text))
