"""Plain numbers and how they combine: expressions, fractions, ratios, ranges."""

import re
import unicodedata
from fractions import Fraction

from services.speech.text import numerals
from services.speech.text.alignment import Reading, replace, rule
from services.speech.text.english.numbers import RANGE, before, follows, number
from services.speech.text.expressions import (
    EXPRESSION,
    GREEK,
    NUMBER,
    SUPERSCRIPT,
    ExpressionReader,
    read_series,
    read_symbol,
    subscript,
)

_SIGNS = {
    "/": "divided by", "*": "times", "×": "times", "·": "times", "÷": "divided by", "+": "plus",
    "-": "minus", "−": "minus", "–": "minus", "=": "equals", "==": "equals", "≠": "does not equal",
    "!=": "does not equal", "≈": "is approximately", "≤": "is less than or equal to",
    "<=": "is less than or equal to", "≥": "is greater than or equal to",
    ">=": "is greater than or equal to", "<": "is less than", ">": "is greater than",
    "±": "plus or minus", "√": "the square root of",
    "π": "pi",
}  # fmt: skip
_POWERS = {"2": "squared", "3": "cubed"}
_SYMBOLS = {
    "∈": "is in", "∉": "is not in", "⊂": "is a subset of", "⊆": "is a subset of", "∪": "union",
    "∩": "intersection", "∅": "the empty set", "∑": "the sum", "∏": "the product",
    "∫": "the integral of", "∂": "partial", "∀": "for all", "∃": "there exists",
    "∝": "is proportional to", "≡": "is equivalent to", "∴": "therefore", "∵": "because",
    "∠": "angle", "⊥": "is perpendicular to", "⟂": "is perpendicular to", "∥": "is parallel to",
}  # fmt: skip
_SCORED = re.compile(
    r"\b(?:got|gets?|scor(?:es?|ed|ing)|marks?|earned|received)(?: (?:an?|is|was|of|only|just))? $",
    re.IGNORECASE,
)
_FULL_MARKS = (15, 20, 25, 30, 40, 50, 60, 80)
_ASKED = re.compile(
    r"\b(?:what(?:'s|’s| is)|how much is|calculate|compute|work out) $", re.IGNORECASE
)
_MEASURED = re.compile(
    r" (?:of the(?! (?:year|month))|hours?|miles?|cups?|inch(?:es)?|price|off)\b"
)
_ANSWERED = re.compile(r"\s?(?:[?=.]|$)")
_WEEK = re.compile(r"\b(?:weeks?|wks?) $", re.IGNORECASE)
_ON = re.compile(r"\b(?:on|until|by|due|expires|dated?) $", re.IGNORECASE)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def _power(exponent: str) -> str:
    return f"to the power of {exponent}"


def _part(numerator: int, denominator: int) -> str:
    """Return the name of a denominator: half, thirds, quarters."""
    if denominator == 2:
        return "half" if numerator == 1 else "halves"
    one = "quarter" if denominator == 4 else numerals.english_ordinal(denominator)
    return one if numerator == 1 else f"{one}s"


def fraction(numerator: int, denominator: int) -> str:
    """Return one half, three quarters, twenty-two over seven."""
    if 0 < numerator < denominator <= 1000:
        return f"{numerals.english(numerator)} {_part(numerator, denominator)}"
    return f"{numerals.english(numerator)} over {numerals.english(denominator)}"


def _fraction(match: re.Match[str]) -> str | None:
    numerator, denominator = int(match[2]), int(match[3])
    if match[1]:
        return f"{number(match[1].strip(' -'))} and {_after_whole(numerator, denominator)}"
    is_next = numerator > 3 and denominator == numerator + 1  # This week 3/4 of them came.
    is_week = is_next and _WEEK.search(before(match)) and not follows(match, _OF)
    if numerator == denominator or is_week:
        return f"{numerals.english(numerator)} {numerals.english(denominator)}"
    is_date = 1 <= numerator <= 12 and 1 <= denominator <= 31 and not follows(match, _MEASURED)
    if is_date and _ON.search(before(match)):
        return f"{_MONTHS[numerator - 1]} {numerals.english_ordinal(denominator)}"
    is_share = follows(match, _SHARE)
    is_score = denominator in _FULL_MARKS and _SCORED.search(before(match)) and not is_share
    is_count = is_score or (numerator > 1 and denominator in (10, 100))
    if follows(match, _POINTS) or (is_count and not follows(match, _OF)):
        return f"{numerals.english(numerator)} out of {numerals.english(denominator)}"
    if numerator > denominator and numerator + denominator == 100:  # A split: 60/40.
        return f"{numerals.english(numerator)} {numerals.english(denominator)}"
    return fraction(numerator, denominator)


def _after_whole(numerator: int, denominator: int) -> str:
    return "a half" if (numerator, denominator) == (1, 2) else fraction(numerator, denominator)


def _vulgar(match: re.Match[str]) -> str:
    value = Fraction(unicodedata.numeric(match[2])).limit_denominator(100)
    if match[1]:
        return f"{number(match[1].strip())} and {_after_whole(*value.as_integer_ratio())}"
    return fraction(*value.as_integer_ratio())


def _range(match: re.Match[str]) -> Reading:
    return [
        (number(match[1]), match.span(1)),
        (" to ", match.span(2)),
        (number(match[3]), match.span(3)),
    ]


def _difference(match: re.Match[str]) -> Reading | None:
    """Read a difference: the larger number is first and the minus has spaces around it, 10 - 3."""
    first, last = (float(match[at].replace(",", "")) for at in (1, 3))
    if first < last:
        return None
    return [
        (number(match[1]), match.span(1)),
        (" minus ", match.span(2)),
        (number(match[3]), match.span(3)),
    ]


def _product(match: re.Match[str]) -> Reading:
    """Read 4 x 100 as a size, but as a product where its value is asked for."""
    is_small = all(float(match[at].replace(",", "")) <= 100 for at in (1, 3))
    is_asked = is_small and _ASKED.search(before(match)) and follows(match, _ANSWERED)
    is_size = "x" in match[2] and not is_asked
    return [
        (number(match[1]), match.span(1)),
        (" by " if is_size else " times ", match.span(2)),
        (number(match[3]), match.span(3)),
    ]


def _enclosed(match: re.Match[str]) -> str:
    return numerals.english(int(unicodedata.numeric(match[0])))


def _scientific(match: re.Match[str]) -> str:
    sign = "minus " if match[2] == "-" else ""
    return f"{number(match[1])} times ten to the power of {sign}{number(match[3])}"


_OF = re.compile(r" of\b|ths?\b")
_SHARE = re.compile(r" (?:the|as|scale|odds|share)\b")
_POINTS = re.compile(r" (?:stars?|points?|correct|marks?)\b")

_EXPRESSIONS = ExpressionReader(
    signs=_SIGNS,
    number=number,
    fraction=fraction,
    squares=_POWERS,
    power=_power,
    space=" ",
    negative="minus",
)

EXPRESSIONS = (
    rule(rf"(?<![\w.,])({NUMBER})[eE]([+-]?)(\d{{1,3}})\b", _scientific),
    replace(r"(?<=\d)!(?=\s?[=+*×/-])", " factorial"),
    replace(r"\b24/7\b", "twenty-four seven"),
    replace(r"\b9/11\b", "nine eleven"),
    rule(EXPRESSION, _EXPRESSIONS.read),
    rule(
        rf"(?<![\w.,])({NUMBER})(\s?×\s?|\s?x\s?)({NUMBER})(?!\w)",
        _product,
    ),
    rule(rf"(?<![\w.,])({NUMBER})[x×](?!\w)", lambda match: f"{number(match[1])} times"),
)
RULES = (
    rule(r"(?<![\w.,/])(\d+[ -])?(\d{1,4})[/⁄](\d{1,4})(?![\w/]|[.,]\d)", _fraction),
    rule(
        r"(?<![\w.,/])(\d{1,3}\.\d{1,2})(/)(4|5|6|10|20|100)(?![\w/]|[.,]\d)",
        lambda match: [
            (number(match[1]), match.span(1)),
            (" out of ", match.span(2)),
            (number(match[3]), match.span(3)),
        ],
    ),
    rule(r"((?<!\d)\d++\s?)?([¼-¾⅐-⅞])", _vulgar),
    rule(rf"(?<![\w.,])({NUMBER})(\s[-−–]\s)({NUMBER})(?![\d])", _difference),
    rule(
        r"(?<![\w.,-])\d{1,4}(?:-\d{1,4}){2,}+(?![\w-])",
        lambda match: read_series(match, number, ", "),
    ),
    rule(
        r"(?<![\w.,:])\d+(?::\d+){2,}+(?![\w:])", lambda match: read_series(match, number, " to ")
    ),
    rule(rf"(?<![\w.,])({NUMBER})({RANGE})({NUMBER})(?![\w½⅓⅔¼¾-]|[.,]\d)", _range),
    rule(r"(?<![\w.,:])(\d+(?:\.\d+)?)(\s?:\s?)(\d+(?:\.\d+)?)(?![\w:]|[.,]\d)", _range),
    rule(r"(?<=[a-z])[₀-₉]+(?=\d)", lambda match: f" {numerals.english(subscript(match[0]))},"),
    replace(r"(?<=\d)\s?~\s?(?=[-−]\d)", " to "),
    replace(r"(?<![\w.])[-−–](?=[\d.])", "minus "),
    replace(r"(?<=\b[1-7])\*(?!\w)", " star"),
    replace(r"[#№]\s?(?=\d)", "number "),
    replace("§", "section "),
    replace(r"[~≈]\s?(?=[\d$€£¥])", "about "),
    replace("³√|∛", "the cube root of "),
    replace("√", "the square root of "),
    replace("±", "plus or minus "),
    replace(r"≥|>\s?=", " greater than or equal to "),
    replace("≤|<=", " less than or equal to "),
    replace(r">\s?(?=[\d$€£¥])", " more than "),
    replace(r"<\s?(?=[\d$€£¥])", " less than "),
    replace("≠", " does not equal "),
    replace("∞", " infinity"),
    replace("[↑▲](?=\\s?\\d)", " up "),
    replace("[↓▼](?=\\s?\\d)", " down "),
    rule(r"\s?[∈∉⊂⊆∪∩∅∑∏∫∂∀∃∝≡∴∵∠⊥⟂∥]\s?", lambda match: f" {_SYMBOLS[match[0].strip()]} "),
    rule(GREEK, read_symbol),
    replace("÷", " divided by "),
    replace("×", " times "),
    rule(rf"(?<=[\w)]){SUPERSCRIPT}", lambda match: f" {_EXPRESSIONS.raised(match[0])}"),
    rule(r"[\u2460-\u2473\u2776-\u277f\u2780-\u2793\u24ea]", _enclosed),
    rule(NUMBER, lambda match: number(match[0])),
    rule(r"(?<!\w)\.\d+", lambda match: f"point {numerals.english_digits(match[0][1:])}"),
)
