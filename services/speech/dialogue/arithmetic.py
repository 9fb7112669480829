"""Tells right results of sums from invented ones, and gives the right ones."""

import re
from fractions import Fraction

from services.speech.dialogue.claims import values
from services.speech.dialogue.lexicon import is_chinese, lexicon_of, straight
from services.speech.dialogue.sums import Sum, amount_at, sums

_RESULT = re.compile(
    r"\s*(?:=|\bequal to\b|\b(?:is|are|equals?|makes?|gives?|becomes?)\b(?: equal to| about)?|"
    r"约?等于|得到?|就?是(?:不是)?)\s*",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\s*(?:$|[^\w\s]|and\b|or\b)")
"""Behind a number that nothing is counted by."""

_RANGE = re.compile(r"(?<=[\d)])[-−–](?=[\d(])")
"""A minus only where a sum is all that is asked for: 12-5, but not 2-3 hours."""

_SPACE = re.compile(r"\s*")
_ANSWER = {"en": "The answer is {result}.", "zh": "答案是{result}。"}
_ABOUT = {"en": "The answer is about {result}.", "zh": "答案约是{result}。"}
_DECIMALS = 2
_MOST_DECIMALS = 6


def results(text: str) -> tuple[Fraction, ...]:
    """Return what the sums in a text come to, their intermediate results included."""
    shares = (value.amount / 100 for value in values(text) if value.unit == "percent")
    return (*(step for each in sums(straight(text)) for step in each.steps), *shares)


def has_sum(text: str) -> bool:
    """Whether a text names a sum: six times seven."""
    return next(sums(straight(text)), None) is not None


def equations(text: str) -> tuple[Sum, ...]:
    """Return the sums of which a text says what they come to."""
    told = straight(text)
    return tuple(each for each in sums(told) if _stated(told, each.end) is not None)


def has_false_equation(text: str) -> bool:
    """Whether a text says of a sum that it comes to something else: six times seven is forty."""
    told = straight(text)
    return any(
        stated is not None and not is_result(stated, each.result)
        for each in sums(told)
        for stated in [_stated(told, each.end)]
    )


def gives_other_result(sentence: str, question: str) -> bool:
    """Whether a sentence answers the sums of a question with a number that they do not come to.

    What something is counted by is no answer: there are six groups of seven.
    """
    told = straight(sentence)
    right = results(question)
    ends = {each.end for each in sums(told)}
    for equal in _RESULT.finditer(told):
        stated = amount_at(told, equal.end())
        if stated is None or equal.start() in ends or not _ENDS.match(told, stated[1]):
            continue
        if not any(is_result(stated[0], each) for each in right):
            return True
    return False


def worked_out(question: str) -> str | None:
    """Return the answer to a question that asks for one sum and for nothing else."""
    told = _RANGE.sub(" - ", straight(question))
    asked = tuple(sums(told))
    if len(asked) != 1:
        return None
    words = lexicon_of(question)
    around = told[: asked[0].start], told[_behind_proposal(told, asked[0].end) :]
    if not all(words.sum_asked.fullmatch(each) for each in around):
        return None
    return _answer(asked[0], "zh" if is_chinese(question) else "en")


def is_result(stated: Fraction, result: Fraction) -> bool:
    """Whether a number is a result; one with decimals may be rounded to them."""
    decimals = _decimals(stated)
    return stated == result or (decimals > 0 and round(result, decimals) == stated)


def _behind_proposal(text: str, end: int) -> int:
    """Return where the result ends that a question proposes: is six times seven forty-two?"""
    equal = _RESULT.match(text, end) or _SPACE.match(text, end)
    found = amount_at(text, equal.end()) if equal else None
    return found[1] if found else end


def _stated(text: str, end: int) -> Fraction | None:
    """Return what a text says that the sum before a character comes to."""
    equal = _RESULT.match(text, end)
    found = amount_at(text, equal.end()) if equal else None
    return found[0] if found else None


def _answer(asked: Sum, tongue: str) -> str:
    """Return the result in words: a fraction where such were asked, else with decimals."""
    result = asked.result
    if all(abs(operand) < 1 for operand in asked.operands):
        return _ANSWER[tongue].format(result=result)
    rounded = round(result, _DECIMALS)
    words = _ANSWER if rounded == result else _ABOUT
    is_whole = rounded.denominator == 1
    return words[tongue].format(result=rounded if is_whole else float(rounded))


def _decimals(number: Fraction) -> int:
    """Return with how many decimals a number is written; 0 for one that cannot be."""
    return next((at for at in range(_MOST_DECIMALS) if (number * 10**at).denominator == 1), 0)
