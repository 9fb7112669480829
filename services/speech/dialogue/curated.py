"""Takes a curated answer for a question only when it answers that question."""

from collections.abc import Sequence

from services.speech.dialogue.arithmetic import has_sum, worked_out
from services.speech.dialogue.claims import values
from services.speech.dialogue.knowledge import RELEVANT_LEAD, Match
from services.speech.dialogue.lexicon import is_chinese, lexicon_of
from services.speech.dialogue.question import VALUES, Kind, Question
from services.speech.dialogue.words import sentences
from services.speech.personas.catalogue import Fact, PersonaLanguage

SAME_LIKENESS = 0.97
"""From this on, the question is one of those that the answer was written for."""

SURE = ((0.04, 0.0), (0.045, 0.25), (0.07, 0.35))
"""With which lead a fact is a question's subject though such a share of its words is not in it."""

MOST_POLAR_SHARE = 0.1
"""A yes or no hangs on every word."""

MOST_BEHIND = 0.025
"""By so much a fact's lead may be behind that of one that nobody asks for in these words."""

RELEVANT_LIKENESS = 0.75
"""Nor is a fact below this."""

TALK_LIKENESS = {"en": 0.895, "zh": 0.925}
TALK_LEAD = 0.03
"""Talk has no words to compare, so that it must be as like as this."""

_NAMED = frozenset((Kind.PERSON, Kind.CALL_NUMBER))
"""Kinds that a sentence cannot be seen to answer: a name in it may be anybody's or anything's."""

_POLAR_LIKENESS = 0.95


def curated_answer(question: Question, matches: Sequence[Match]) -> str | None:
    """Return what a persona's author wrote that answers the question, if anything does."""
    for match in matches:
        if _is_same(question, match):
            return _fitted(question, match)
    if has_sum(question.text):
        return worked_out(question.text)
    if question.kind is Kind.TALK:
        return _small_talk(question, matches)
    best = _closest(matches)
    return _fitted(question, best) if best and _is_its_subject(question, best) else None


def identity_answer(language: PersonaLanguage) -> str:
    """Return what is told to somebody who asks whether a human is speaking."""
    return next(
        (
            fact.answer
            for fact in language.knowledge
            if any(Question.read(asked).kind is Kind.IDENTITY for asked in fact.questions)
        ),
        language.identity,
    )


def relevant_facts(matches: Sequence[Match]) -> tuple[Fact, ...]:
    """Return the facts that may help a model to answer."""
    return tuple(
        match.fact
        for match in matches
        if match.lead >= RELEVANT_LEAD and match.likeness >= RELEVANT_LIKENESS
    )


def _closest(matches: Sequence[Match]) -> Match | None:
    """Return the best match; of those about as good, the one that is asked for in these words."""
    return max(matches, key=lambda match: match.lead - MOST_BEHIND * match.unasked, default=None)


def answering_sentences(question: Question, answer: str) -> str:
    """Return those sentences of an answer that hold what is asked for."""
    told = [each for each in sentences(answer) if question.is_answered_by(each)]
    return "".join(told).strip()


def _fitted(question: Question, match: Match) -> str | None:
    answer = match.fact.answer
    asked = Question.read(match.asked)
    is_same = _is_same(question, match)
    if question.kind in VALUES:
        part = answering_sentences(question, answer)
        answer = part or (answer if is_same else "")
    elif (question.kind is Kind.NOW and asked.kind is not Kind.NOW) or (
        question.kind is Kind.POLAR and not is_same and not _holds_values(question, answer)
    ):
        return None
    if asked.kind is not Kind.POLAR or question.kind is not Kind.POLAR:
        is_agreed = False
    else:
        is_agreed = match.likeness >= _POLAR_LIKENESS
    return (
        answer if is_agreed or question.kind is Kind.TALK else _without_agreement(answer)
    ) or None


def _is_same(question: Question, match: Match) -> bool:
    """Whether the question is one that the answer was written for, its numbers and days too."""
    is_like = match.likeness >= SAME_LIKENESS
    return is_like and set(values(question.text)) == set(values(match.asked))


def _without_agreement(answer: str) -> str:
    """Leave out a yes or no that another question was given."""
    agreement = lexicon_of(answer).agreement.match(answer)
    rest = answer[agreement.end() :].lstrip(" ，。！,.!") if agreement else answer
    return rest[:1].upper() + rest[1:]


def _is_its_subject(question: Question, match: Match) -> bool:
    kinds = {Question.read(asked).kind for asked in match.fact.questions}
    if kinds == {Kind.TALK}:
        return False  # Comfort for somebody who is nervous answers no question.
    if question.kind in _NAMED and question.kind not in kinds:
        return False
    if question.kind is Kind.POLAR and match.missing > MOST_POLAR_SHARE:
        return False
    return any(match.lead >= lead and match.missing <= most for lead, most in SURE)


def _holds_values(question: Question, answer: str) -> bool:
    """Whether each number that is asked about stands in a sentence that states something."""
    stated = "".join(each for each in sentences(answer) if not each.rstrip().endswith(("?", "？")))
    known = values(stated)
    return all(
        any(asked.agrees(value) for value in known)
        for asked in values(question.text)
        if not asked.unit
    )


def _small_talk(question: Question, matches: Sequence[Match]) -> str | None:
    best = matches[0] if matches else None
    least = TALK_LIKENESS["zh" if is_chinese(question.text) else "en"]
    if best is not None and best.likeness >= least and best.lead >= TALK_LEAD:
        return best.fact.answer
    return None
