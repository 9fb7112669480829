"""Recognises questions that no model can answer: only facts could, and none does."""

from collections.abc import Iterable, Sequence

from services.speech.dialogue.arithmetic import has_sum
from services.speech.dialogue.curated import answering_sentences
from services.speech.dialogue.knowledge import MIN_RELEVANT_LEAD, Match
from services.speech.dialogue.question import VALUE_KINDS, Kind, Question
from services.speech.dialogue.words import Vocabulary, content_words
from services.speech.personas.format import Grounding


def is_out_of_scope(
    question: Question,
    matches: Sequence[Match],
    *,
    grounding: Grounding,
    user_texts: Sequence[str],
    heard_texts: Sequence[str],
) -> bool:
    """Whether any answer to a question would have to be made up.

    `user_texts` is what the user said before, `heard_texts` what was replied.
    """
    kind = question.kind
    if grounding is Grounding.OFF or kind in (Kind.TALK, Kind.IDENTITY):
        return False
    if kind is Kind.NOW:
        return True
    if question.is_about_the_user and kind is not Kind.POLAR:
        return not user_texts
    if has_sum(question.text) or _is_in_dialogue(question, (*user_texts, *heard_texts)):
        return False
    if kind in VALUE_KINDS:
        return not any(_may_answer(question, match) for match in matches)
    if grounding is Grounding.STRICT and kind in (Kind.POLAR, Kind.CHOICE):
        return all(match.missing_share == 1 for match in matches)
    return False


def _may_answer(question: Question, match: Match) -> bool:
    return (
        match.lead >= MIN_RELEVANT_LEAD
        and match.missing_share < 1
        and bool(answering_sentences(question, match.fact.answer))
    )


def _is_in_dialogue(question: Question, texts: Iterable[str]) -> bool:
    """Whether the dialogue so far covers what is asked."""
    words = content_words(question.text)
    return any(
        question.is_answered_by(text)
        and len(Vocabulary((text,)).missing(words)) < len(words or "?")
        for text in texts
    )
