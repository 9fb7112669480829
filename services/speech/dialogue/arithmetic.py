"""Computes the sums that a text names, and recognises wrong results."""

import re
from fractions import Fraction

from services.speech.dialogue.claims import values
from services.speech.dialogue.lexicon import ascii_apostrophes, is_chinese, lexicon_of
from services.speech.dialogue.sums import Sum, parse_amount, sums

_EQUALS = re.compile(
    r"\s*(?:=|\bequal to\b|\b(?:is|are|equals?|makes?|gives?|becomes?)\b(?: equal to| about)?|"
    r"约?等于|得到?|就?是(?:不是)?)\s*",
    re.IGNORECASE,
)
_NOTHING_COUNTED = re.compile(r"\s*(?:$|[^\w\s]|and\b|or\b)")
"""What follows a number that stands on its own, without a thing it counts."""

_RANGE = re.compile(r"(?<=[\d)])[-−–](?=[\d(])")
"""A minus only where a sum is all that is asked for: 12-5, but not 2-3 hours."""

_SPACE = re.compile(r"\s*")
_EXACT_ANSWER = {"en": "The answer is {result}.", "zh": "答案是{result}。"}
_ROUNDED_ANSWER = {"en": "The answer is about {result}.", "zh": "答案约是{result}。"}
_DECIMALS = 2
_MAX_DECIMALS = 6


def results(text: str) -> tuple[Fraction, ...]:
    """Return the results of the sums in a text, intermediate ones included."""
    shares = (value.amount / 100 for value in values(text) if value.unit == "percent")
    found = sums(ascii_apostrophes(text))
    return (*(step for each in found for step in each.steps), *shares)


def has_sum(text: str) -> bool:
    """Whether a text names a sum: six times seven."""
    return bool(sums(ascii_apostrophes(text)))


def equations(text: str) -> tuple[Sum, ...]:
    """Return the sums whose result a text states."""
    text = ascii_apostrophes(text)
    return tuple(each for each in sums(text) if _stated_result(text, each.end) is not None)


def has_false_equation(text: str) -> bool:
    """Whether a text states a wrong result of a sum: six times seven is forty."""
    text = ascii_apostrophes(text)
    return any(
        stated is not None and not is_result(stated, each.result)
        for each in sums(text)
        for stated in [_stated_result(text, each.end)]
    )


def states_wrong_result(sentence: str, question: str) -> bool:
    """Whether a sentence answers a question's sums with a number that is not their result.

    A number that counts something is no answer: there are six groups of seven.
    """
    sentence = ascii_apostrophes(sentence)
    right = results(question)
    ends = {each.end for each in sums(sentence)}
    for equals in _EQUALS.finditer(sentence):
        stated = parse_amount(sentence, equals.end())
        if stated is None or equals.start() in ends:
            continue
        amount, end = stated
        if not _NOTHING_COUNTED.match(sentence, end):
            continue
        if not any(is_result(amount, each) for each in right):
            return True
    return False


def computed_answer(question: str) -> str | None:
    """Return the answer to a question that asks for one sum and nothing else."""
    text = _RANGE.sub(" - ", ascii_apostrophes(question))
    asked = sums(text)
    if len(asked) != 1:
        return None
    words = lexicon_of(question)
    around = text[: asked[0].start], text[_end_of_proposal(text, asked[0].end) :]
    if not all(words.sum_request.fullmatch(each) for each in around):
        return None
    return _answer(asked[0], "zh" if is_chinese(question) else "en")


def is_result(stated: Fraction, result: Fraction) -> bool:
    """Whether a stated number is the result; one with decimals may be rounded to them."""
    decimals = _decimals(stated)
    return stated == result or (decimals > 0 and round(result, decimals) == stated)


def _end_of_proposal(text: str, end: int) -> int:
    """Return where the result that a question proposes ends: is six times seven forty-two?"""
    equals = _EQUALS.match(text, end) or _SPACE.match(text, end)
    found = parse_amount(text, equals.end()) if equals else None
    return found[1] if found else end


def _stated_result(text: str, end: int) -> Fraction | None:
    """Return the result that a text states for the sum that ends at a character."""
    equals = _EQUALS.match(text, end)
    found = parse_amount(text, equals.end()) if equals else None
    return found[0] if found else None


def _answer(asked: Sum, language: str) -> str:
    """Return the result in words: as a fraction if fractions were asked for, else in decimals."""
    result = asked.result
    if all(abs(operand) < 1 for operand in asked.operands):
        return _EXACT_ANSWER[language].format(result=result)
    rounded = round(result, _DECIMALS)
    answer = _EXACT_ANSWER if rounded == result else _ROUNDED_ANSWER
    is_whole = rounded.denominator == 1
    return answer[language].format(result=rounded if is_whole else float(rounded))


def _decimals(number: Fraction) -> int:
    """Return the number of decimals of a number; 0 if it has no finite decimal form."""
    return next((at for at in range(_MAX_DECIMALS) if (number * 10**at).denominator == 1), 0)
