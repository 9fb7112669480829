"""Decides whether a sentence's claims are supported by facts or by what was said before."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

from services.speech.dialogue.arithmetic import (
    equations,
    has_false_equation,
    has_sum,
    is_result,
    results,
    states_wrong_result,
)
from services.speech.dialogue.claims import MONEY, SPANS, Value, names, values
from services.speech.dialogue.lexicon import ascii_apostrophes, is_chinese, lexicon_of
from services.speech.dialogue.question import VALUE_KINDS, Kind, Question
from services.speech.dialogue.sums import Sum, sums
from services.speech.dialogue.words import Vocabulary, content_words, sentences
from services.speech.personas.format import Grounding

MAX_UNKNOWN_SHARE = 0.34
"""The share of a sentence's words that may occur in no fact, since some only link or embellish."""

MAX_OTHER_SHARE = 0.5
"""The share of a sentence's words that the source of its number may lack: the price of one thing
is not that of another."""

MAX_CASUAL_NUMBER = 12
"""Up to this, a bare number in small talk is a figure of speech: two deep breaths."""

_VENUE_UNITS = MONEY | {"clock", "weekday", "in the year", "in the month"}
"""The user's word is no ground for a price, a time or a day of the venue."""

_SUM_KINDS = frozenset((Kind.OPEN, Kind.NUMBER, Kind.AMOUNT, Kind.TALK))
"""Kinds of questions whose signs are those of a sum; in "open 9-5" they are not."""

_CLAUSE = re.compile(r"[,;，；、]\s*")
_WORD = re.compile(r"[\w'’-]+")
_IS_QUESTION = re.compile(r"[?？]\W*$")


class Ungrounded(StrEnum):
    """What in a sentence nothing supports."""

    SCOPE = "scope"
    """The question itself: the model was not asked."""
    ECHO = "echo"
    """The prompt, recited."""
    LANGUAGE = "language"
    """The reply as a whole, which is not in the turn's language."""
    IDENTITY = "identity"
    SUM = "sum"
    NUMBER = "number"
    NAME = "name"
    FACT = "fact"


@dataclass(frozen=True)
class Grounds:
    """What the reply to a question may be based on.

    `facts` are those that fit the question and what the persona knows about itself, `other_facts`
    all the rest. `price_lists` are the parts of facts that give several prices to a question for
    one. `user_texts` is what the user said, `heard_texts` what the persona said before, which was
    grounded at the time.
    """

    question: Question
    grounding: Grounding
    facts: tuple[str, ...]
    other_facts: tuple[str, ...] = ()
    price_lists: tuple[str, ...] = ()
    user_texts: tuple[str, ...] = ()
    heard_texts: tuple[str, ...] = ()

    def find_ungrounded(self, sentence: str) -> Ungrounded | None:
        """Return what in a sentence nothing supports; None if all of it is supported."""
        if lexicon_of(sentence).claims_human.search(ascii_apostrophes(sentence)):
            return Ungrounded.IDENTITY
        if has_false_equation(sentence):
            return Ungrounded.SUM
        if self._asks_sum and states_wrong_result(sentence, self.question.text):
            return Ungrounded.SUM
        if any(not self._supports(value, sentence) for value in values(sentence)):
            return Ungrounded.NUMBER
        if any(not self._knows_name(name) for name in names(sentence)):
            return Ungrounded.NAME
        if self._makes_claim(sentence) and not self._supports_words(sentence):
            return Ungrounded.FACT
        return None

    def price_list(self, sentence: str) -> str:
        """Return the list from which a sentence picks a price; empty if it picks none.

        Which of several prices applies to the user is beyond these checks: half for seniors, free
        with a plan. The list is right for everybody.
        """
        if not self.price_lists or not (picked := prices(sentence)):
            return ""
        return next((each for each in self.price_lists if picked < prices(each)), "")

    def can_check(self, text: str) -> bool:
        """Whether part of a sentence can be checked without the rest.

        In the answer to a factual question no part can: free for children, and for adults as the
        sentence goes on.
        """
        if self._asks_fact:
            return False
        return not _agrees(text) and len(content_words(text)) > 1

    def _supports(self, value: Value, sentence: str) -> bool:
        if self._asks_sum:
            return self._supports_in_sum(value, sentence)
        if any(source.supports(value, sentence) for source in self._sources):
            return True
        if value.unit not in _VENUE_UNITS and any(value.agrees(each) for each in self._user_values):
            return True
        if value.amount in results(self.question.text):
            return True
        if value.unit == "" and _belongs_to_sum(value, equations(sentence)):
            return True  # The equation is right: wrong ones are rejected earlier.
        if value.amount == 1 and value.unit in SPANS and self.question.kind not in VALUE_KINDS:
            return True  # A figure of speech when no number is asked for: what a day.
        is_talk = self.question.kind is Kind.TALK and not _is_about_venue(sentence)
        is_casual = value.amount <= MAX_CASUAL_NUMBER and value.unit in ("", "second", "minute")
        return is_talk and is_casual

    def _supports_in_sum(self, value: Value, sentence: str) -> bool:
        """Whether a number belongs to the sum that is asked for; the facts' numbers do not."""
        asked = sums(self.question.text)
        computed = sums(sentence) if _IS_QUESTION.search(sentence) else equations(sentence)
        return _belongs_to_sum(value, (*asked, *computed))

    def _knows_name(self, name: str) -> bool:
        return name.casefold() in (self._text if is_chinese(name) else self._text_words)

    def _makes_claim(self, sentence: str) -> bool:
        if self.grounding is not Grounding.STRICT or _IS_QUESTION.search(sentence):
            return False
        if lexicon_of(sentence).admission.search(ascii_apostrophes(sentence)):
            return False
        if equations(sentence) or (self._asks_sum and has_sum(sentence)):
            return False
        return self._asks_fact or _is_about_venue(sentence)

    @cached_property
    def _asks_sum(self) -> bool:
        return self.question.kind in _SUM_KINDS and has_sum(self.question.text)

    @property
    def _asks_fact(self) -> bool:
        return self.question.kind not in (Kind.TALK, Kind.IDENTITY)

    def _supports_words(self, sentence: str) -> bool:
        words = content_words(sentence)
        unknown = self._vocabulary.missing(words)
        if lexicon_of(sentence).addresses_user.search(sentence):
            unknown = Vocabulary(self.user_texts).missing(unknown)
        if not words:
            return not _agrees(sentence) or not self._unknown_question_words
        limit = MAX_UNKNOWN_SHARE * len(words)
        missing = [source.missing(words) for source in self._sources]
        if self.question.kind is not Kind.POLAR:
            missing.append(unknown)  # A yes must not be assembled from several texts.
        if not any(len(each) <= limit and not self._repeats_question(each) for each in missing):
            return False
        return all(self._agrees_in_negation(clause) for clause in _clauses(sentence))

    def _repeats_question(self, words: Sequence[str]) -> bool:
        """Whether one of some words comes from the question, which is no ground to affirm it."""
        return any(word in self._question_words for word in words)

    def _agrees_in_negation(self, clause: str) -> bool:
        """Whether a clause and the closest one of the sources both affirm or both deny."""
        said = _Clause(clause)
        best = max((each for source in self._sources for each in source.clauses), key=said.overlap)
        return said.overlap(best) == 0 or best.is_negative == said.is_negative

    @cached_property
    def _unknown_question_words(self) -> tuple[str, ...]:
        return self._vocabulary.missing(self._question_words)

    @cached_property
    def _question_words(self) -> tuple[str, ...]:
        return content_words(self.question.text)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary((*self.facts, *self.heard_texts))

    @cached_property
    def _sources(self) -> tuple["_Source", ...]:
        return tuple(_source(text) for text in (*self.facts, *self.heard_texts, *self.other_facts))

    @cached_property
    def _user_values(self) -> tuple[Value, ...]:
        return _values((*self.user_texts, self.question.text))

    @cached_property
    def _text(self) -> str:
        """All that a name may be taken from."""
        return "\n".join(
            (
                *self.facts,
                *self.other_facts,
                *self.user_texts,
                *self.heard_texts,
                self.question.text,
            )
        ).casefold()

    @cached_property
    def _text_words(self) -> frozenset[str]:
        return frozenset(_WORD.findall(self._text))


class _Source:
    """A text that may support claims."""

    def __init__(self, text: str) -> None:
        statements = (each for each in sentences(text) if not _IS_QUESTION.search(each))
        self.clauses = [_Clause(clause) for each in statements for clause in _clauses(each)]
        self._values = values(text)
        self._vocabulary = Vocabulary((text,))

    def supports(self, value: Value, sentence: str) -> bool:
        """Whether the text gives the value, and for the same thing as a sentence does."""
        if not any(value.agrees(known) for known in self._values):
            return False
        words = content_words(sentence)
        return len(self.missing(words)) <= MAX_OTHER_SHARE * len(words)

    def missing(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words that do not occur in the text."""
        return self._vocabulary.missing(words)


@lru_cache(maxsize=4096)
def _source(text: str) -> _Source:
    return _Source(text)


def preload(facts: Iterable[str]) -> None:
    """Parse facts before a reply needs them, since every reply uses the same ones."""
    for fact in facts:
        _source(fact)


class _Clause:
    """A part of a sentence that affirms or denies something."""

    def __init__(self, text: str) -> None:
        self.is_negative = lexicon_of(text).negation.search(ascii_apostrophes(text)) is not None
        self._words = content_words(text)
        self._values = values(text)
        self._vocabulary = Vocabulary((text,))

    def overlap(self, other: "_Clause") -> int:
        """Return how many words and values the clauses share; values count for more."""
        words = len(self._words) - len(other._vocabulary.missing(self._words))
        shared = sum(any(value.agrees(each) for each in other._values) for value in self._values)
        return words + 3 * shared


def _clauses(sentence: str) -> list[str]:
    return [clause for clause in _CLAUSE.split(sentence) if clause.strip()]


def _belongs_to_sum(value: Value, found: Iterable[Sum]) -> bool:
    amount = value.amount / 100 if value.unit == "percent" else value.amount
    return any(
        is_result(amount, number) for each in found for number in (*each.operands, *each.steps)
    )


def _is_about_venue(sentence: str) -> bool:
    return lexicon_of(sentence).about_venue.search(sentence) is not None


def prices(text: str) -> frozenset[object]:
    """Return the prices in a text: amounts, and words such as free and half."""
    amounts = {value for value in values(text) if value.unit in MONEY}
    words = lexicon_of(text).price_words.findall(text)
    return frozenset((*amounts, *words))


def is_bare_agreement(text: str) -> bool:
    """Whether a text says yes or no and nothing else."""
    return _agrees(text) and not content_words(text)


def _agrees(text: str) -> bool:
    """Whether a text begins with a yes or no."""
    return lexicon_of(text).agreement.match(text.lstrip()) is not None


def _values(texts: Iterable[str]) -> tuple[Value, ...]:
    return tuple(value for text in texts for value in values(text))
