"""Uses a curated answer only for a question that it answers."""

from collections.abc import Sequence

from services.speech.dialogue.arithmetic import computed_answer, has_sum
from services.speech.dialogue.claims import values
from services.speech.dialogue.knowledge import MIN_RELEVANT_LEAD, Match
from services.speech.dialogue.lexicon import is_chinese, lexicon_of
from services.speech.dialogue.question import VALUE_KINDS, Kind, Question
from services.speech.dialogue.words import sentences
from services.speech.personas.catalogue import Fact, PersonaLanguage

SAME_QUESTION_SIMILARITY = 0.97
"""From here, the question is one of those that the answer was written for."""

CONFIDENT_MATCHES = ((0.04, 0.0), (0.045, 0.25), (0.07, 0.35))
"""The lead that makes a fact the subject of a question, and the largest share of missing words
that it makes up for."""

MAX_POLAR_MISSING_SHARE = 0.1
"""A yes or no depends on every word."""

UNASKED_PENALTY = 0.025
"""How much lead a fact loses if no word of the question occurs in the ways to ask for it."""

MIN_RELEVANT_SIMILARITY = 0.75
"""A fact below this is not relevant either."""

MIN_TALK_SIMILARITY = {"en": 0.895, "zh": 0.925}
MIN_TALK_LEAD = 0.03
"""Small talk has no content words to compare, so its similarity has to be higher."""

_UNVERIFIABLE_KINDS = frozenset((Kind.PERSON, Kind.CALL_NUMBER))
"""No sentence can be seen to answer these: a name in it may be anybody's or anything's."""

_MIN_AGREEMENT_SIMILARITY = 0.95


def curated_answer(question: Question, matches: Sequence[Match]) -> str | None:
    """Return what the persona's author wrote to answer the question, if anything does."""
    for match in matches:
        if _is_same(question, match):
            return _fitting_part(question, match)
    if has_sum(question.text):
        return computed_answer(question.text)
    if question.kind is Kind.TALK:
        return _small_talk(question, matches)
    best = _best_match(matches)
    return _fitting_part(question, best) if best and _is_about(question, best) else None


def identity_answer(language: PersonaLanguage) -> str:
    """Return the answer for a user who asks whether they are talking to a human."""
    return next(
        (
            fact.answer
            for fact in language.knowledge
            if any(Question.parse(asked).kind is Kind.IDENTITY for asked in fact.questions)
        ),
        language.identity,
    )


def relevant_facts(matches: Sequence[Match]) -> tuple[Fact, ...]:
    """Return the facts that may help a model to answer."""
    return tuple(
        match.fact
        for match in matches
        if match.lead >= MIN_RELEVANT_LEAD and match.similarity >= MIN_RELEVANT_SIMILARITY
    )


def answering_sentences(question: Question, answer: str) -> str:
    """Return the sentences of an answer that contain what is asked for."""
    found = [each for each in sentences(answer) if question.is_answered_by(each)]
    return "".join(found).strip()


def _best_match(matches: Sequence[Match]) -> Match | None:
    """Return the best match; among close ones, the one that is asked for in these words."""
    return max(
        matches,
        key=lambda match: match.lead - UNASKED_PENALTY * match.unasked_share,
        default=None,
    )


def _fitting_part(question: Question, match: Match) -> str | None:
    """Return the part of a fact's answer that answers the question."""
    answer = match.fact.answer
    asked = Question.parse(match.closest_question)
    is_same = _is_same(question, match)
    if question.kind in VALUE_KINDS:
        part = answering_sentences(question, answer)
        answer = part or (answer if is_same else "")
    elif (question.kind is Kind.NOW and asked.kind is not Kind.NOW) or (
        question.kind is Kind.POLAR and not is_same and not _contains_values(question, answer)
    ):
        return None
    if asked.kind is not Kind.POLAR or question.kind is not Kind.POLAR:
        is_agreed = False
    else:
        is_agreed = match.similarity >= _MIN_AGREEMENT_SIMILARITY
    return (
        answer if is_agreed or question.kind is Kind.TALK else _without_agreement(answer)
    ) or None


def _is_same(question: Question, match: Match) -> bool:
    """Whether the answer was written for this very question, its numbers and days included."""
    is_similar = match.similarity >= SAME_QUESTION_SIMILARITY
    return is_similar and set(values(question.text)) == set(values(match.closest_question))


def _without_agreement(answer: str) -> str:
    """Remove a yes or no that answers a different question."""
    agreement = lexicon_of(answer).agreement.match(answer)
    rest = answer[agreement.end() :].lstrip(" ，。！,.!") if agreement else answer
    return rest[:1].upper() + rest[1:]


def _is_about(question: Question, match: Match) -> bool:
    """Whether the fact is the subject of the question."""
    kinds = {Question.parse(asked).kind for asked in match.fact.questions}
    if kinds == {Kind.TALK}:
        return False  # Comfort for somebody who is nervous answers no question.
    if question.kind in _UNVERIFIABLE_KINDS and question.kind not in kinds:
        return False
    if question.kind is Kind.POLAR and match.missing_share > MAX_POLAR_MISSING_SHARE:
        return False
    return any(
        match.lead >= lead and match.missing_share <= share for lead, share in CONFIDENT_MATCHES
    )


def _contains_values(question: Question, answer: str) -> bool:
    """Whether every number in the question occurs in a sentence that makes a statement."""
    stated = "".join(each for each in sentences(answer) if not each.rstrip().endswith(("?", "？")))
    known = values(stated)
    return all(
        any(asked.agrees(value) for value in known)
        for asked in values(question.text)
        if not asked.unit
    )


def _small_talk(question: Question, matches: Sequence[Match]) -> str | None:
    best = matches[0] if matches else None
    threshold = MIN_TALK_SIMILARITY["zh" if is_chinese(question.text) else "en"]
    if best is not None and best.similarity >= threshold and best.lead >= MIN_TALK_LEAD:
        return best.fact.answer
    return None
