"""Parses and computes the sums that a text names, in signs or in words."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from services.speech.dialogue.claims import parse_number

_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TEENS = (
    *("zero", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
_PARTS = (
    *("third", "quarter", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth"),
)
_ONE = f"(?:{'|'.join(_ONES)})"
_TEN = rf"(?:{'|'.join(_TENS)})(?:[-\s]{_ONE})?"
_TEEN = f"(?:{'|'.join(_TEENS)})"
_BELOW_100 = rf"\b(?:{_TEN}|{_TEEN}|{_ONE})\b"
_BELOW_1000 = rf"(?:{_BELOW_100}\s+hundred\b(?:\s+(?:and\s+)?{_BELOW_100})?|{_BELOW_100})"
_SCALE = r"\s+(?:thousand|million)\b"
_DIGITS = r"\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,15})?"
_COUNT = rf"(?:{_DIGITS}|(?:{_BELOW_1000}{_SCALE}(?:\s+and)?\s+){{0,2}}{_BELOW_1000}(?:{_SCALE})?)"
_PART = rf"(?:hal(?:f|ves)|(?:{'|'.join(_PARTS)})s?)\b"
_SHARE = rf"(?:(?:\ban?|{_COUNT})[\s-]+{_PART}|\bhalf\b)"
_HAN_NUMERALS = "零〇一二两三四五六七八九十百千万亿"
_HAN = f"[{_HAN_NUMERALS}]{{1,15}}"
_HAN_COUNT = rf"(?:{_DIGITS}|{_HAN}(?:点[零〇一二三四五六七八九]{{1,15}}(?![十分刻]))?)"
_HAN_SHARE = rf"(?:百分之{_HAN_COUNT}|{_HAN_COUNT}分之{_HAN_COUNT}|一半)"
_PERCENT = re.compile(r"\s*(?:[%％]|per ?cent\b)", re.IGNORECASE)


def _either(*parts: str) -> str:
    return "|".join(f"(?:{part})" for part in parts)


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile(_either(*parts), re.IGNORECASE)


_SHARE_ALONE = _pattern(_HAN_SHARE, _SHARE)
_NUMBER = _pattern(_HAN_SHARE, rf"{_COUNT}\s+and\s+{_SHARE}", _SHARE, _COUNT, _HAN_COUNT)

_Operators = tuple[tuple[str, re.Pattern[str]], ...]
_ADDITIONS: _Operators = (
    ("+", _pattern(r"\s*(?:\+|\bplus\b|\badded to\b|加上?|\band\b(?=[^.?!]*\bmakes?\b))\s*")),
    ("-", _pattern(r"\s+[-−–]\s*", r"\s*(?:\bminus\b|\bless\b|减去?)\s*")),
)
_MULTIPLICATIONS: _Operators = (
    ("*", _pattern(r"\s*(?:[*×x·]|\btimes\b|\bmultiplied by\b|乘以?)\s*")),
    ("/", _pattern(r"\s*(?:[/÷]|\bdivided by\b|\bover\b|除以)\s*")),
)
_OF = _pattern(r"\s*\bof\s+(?:the\s+)?")
"""Multiplies, but only after a share: half of thirty."""

_MULTIPLIED = re.compile(rf"的\s*({_HAN_SHARE}|{_HAN_COUNT}(?=\s*[倍%％]))\s*(倍|[%％])?")
_PREFIXES = (
    ("double", _pattern(r"\b(?:double|twice)\s+")),
    ("triple", _pattern(r"\btriple\s+")),
    ("square", _pattern(r"\bsquare of\s+")),
    ("cube", _pattern(r"\bcube of\s+")),
    ("root", _pattern(r"\bsquare root of\s+", r"√\s*")),
)
_SUFFIXES = (
    ("root", _pattern("的平方根")),
    ("square", _pattern(r"\s*\bsquared\b", "的?平方", r"\s*²")),
    ("cube", _pattern(r"\s*\bcubed\b", "的?立方(?!根)", r"\s*³")),
)
_NAMED_OPERATIONS = (
    ("+", _pattern(r"\b(?:sum of|add)\s+"), _pattern(r"\s+(?:and|to)\s+")),
    ("-", _pattern(r"\bdifference between\s+"), _pattern(r"\s+and\s+")),
    ("from", _pattern(r"\b(?:subtract|take)\s+"), _pattern(r"\s+from\s+")),
    ("*", _pattern(r"\b(?:product of|multiply)\s+"), _pattern(r"\s+(?:and|by|with)\s+")),
    ("/", _pattern(r"\bdivide\s+"), _pattern(r"\s+by\s+")),
)
"""Operations named before their two numbers, and the words between these."""

_MAX_SIZE = 10**30
_MAX_DEPTH = 8
_OPEN, _CLOSE = _pattern(r"[(（]\s*"), _pattern(r"\s*[)）]")
_BEGINNINGS = _either(
    _NUMBER.pattern,
    r"[(（√]",
    *(p.pattern for _, p in _PREFIXES),
    *(p.pattern for _, p, _ in _NAMED_OPERATIONS),
)
_BEGIN = re.compile(rf"(?=\b[a-z]|[^a-z\s])(?:{_BEGINNINGS})", re.IGNORECASE)
"""No sum begins within an English word: not to try there halves what a sentence costs."""

_NUMERAL = re.compile(rf"[\d{_HAN_NUMERALS}]")
_WORD = re.compile("[a-z]+")
_NUMBER_WORDS = frozenset(
    (*_ONES, *_TENS, *_TEENS, "half", "halves", *_PARTS, *(f"{each}s" for each in _PARTS))
)
_SIGN = re.compile("[-+−–*×·/÷√²³加减乘除的平立]")
_OPERATION_WORDS = frozenset(
    ("plus", "added", "and", "minus", "less", "x", "times", "multiplied", "divided", "over", "of",
     "double", "twice", "triple", "square", "squared", "cube", "cubed", "sum", "add", "difference",
     "subtract", "take", "product", "multiply", "divide")
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A sum in a text: its place, its operands and its results.

    `steps` are the intermediate results; the last is the result.
    """

    start: int
    end: int
    operands: tuple[Fraction, ...]
    steps: tuple[Fraction, ...]

    @property
    def result(self) -> Fraction:
        """The result."""
        return self.steps[-1]


@lru_cache(maxsize=16)
def sums(text: str) -> tuple[Sum, ...]:
    """Return the sums in a text in order: six times seven, half of thirty, 三的平方.

    Several checks of one sentence ask for them, so the latest are kept.
    """
    return tuple(_sums(text))


def _sums(text: str) -> Iterator[Sum]:
    if not _may_name_sum(text):
        return
    at = 0
    while (start := _BEGIN.search(text, at)) is not None:
        parser = _Parser(text, start.start())
        is_parsed = parser.sum() is not None
        at = parser.at if is_parsed else start.end()
        if is_parsed and parser.steps:
            yield Sum(
                start=start.start(),
                end=at,
                operands=tuple(parser.operands),
                steps=tuple(parser.steps),
            )


def _may_name_sum(text: str) -> bool:
    """Whether a text has a number and an operation: to look for a sum at each place takes long."""
    words = _WORD.findall(text.casefold())
    has_number = _NUMERAL.search(text) or not _NUMBER_WORDS.isdisjoint(words)
    return bool(has_number and (_SIGN.search(text) or not _OPERATION_WORDS.isdisjoint(words)))


def parse_amount(text: str, at: int) -> tuple[Fraction, int] | None:
    """Return the number, or the result of the sum, that begins at a character; and its end."""
    parser = _Parser(text, at)
    amount = parser.sum()
    return (amount, parser.at) if amount is not None else None


class _Parser:
    """Parses a sum by recursive descent; `at` is its position in the text."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.at = at
        self.operands: list[Fraction] = []
        self.steps: list[Fraction] = []
        self._depth = 0

    def sum(self) -> Fraction | None:
        """Parse a sum of products; None if there is no number."""
        return self._left_to_right(_ADDITIONS, self._product)

    def _product(self) -> Fraction | None:
        return self._left_to_right(_MULTIPLICATIONS, self._factor)

    def _left_to_right(
        self, operators: _Operators, operand: Callable[[], Fraction | None]
    ) -> Fraction | None:
        """Parse operands separated by operators; one that no operand follows ends the sum."""
        total = operand()
        while total is not None:
            end = self.at
            operator = next((sign for sign, pattern in operators if self._accept(pattern)), None)
            right = operand() if operator else None
            result = _binary(operator, total, right) if operator and right is not None else None
            if result is None:
                self.at = end
                break
            total = self._record(result)
        return total

    def _factor(self) -> Fraction | None:
        """Parse a number with its unary operations."""
        start = self.at
        self._depth += 1
        amount = self._prefixed() if self._depth <= _MAX_DEPTH else None
        self._depth -= 1
        if amount is None:
            self.at = start
            return None
        while (more := self._postfixed(amount)) is not None:
            amount = self._record(more)
        return amount

    def _prefixed(self) -> Fraction | None:
        if self._accept(_OPEN):
            inner = self.sum()
            return inner if self._accept(_CLOSE) else None
        for operator, name, between in _NAMED_OPERATIONS:
            if self._accept(name):
                return self._named_operation(operator, between)
        for prefix, pattern in _PREFIXES:
            if self._accept(pattern):
                amount = self._factor()
                done = _unary(prefix, amount) if amount is not None else None
                return self._record(done) if done is not None else None
        return self._number()

    def _named_operation(self, operator: str, between: re.Pattern[str]) -> Fraction | None:
        left = self._factor()
        right = self._factor() if left is not None and self._accept(between) else None
        result = _binary(operator, left, right) if left is not None and right is not None else None
        return self._record(result) if result is not None else None

    def _number(self) -> Fraction | None:
        found = self._accept(_NUMBER)
        amount = parse_number(found.group()) if found else None
        if found is None or amount is None:
            return None
        is_percent = self._accept(_PERCENT) is not None
        if is_percent:
            amount /= 100
        self.operands.append(amount)
        is_share = is_percent or _SHARE_ALONE.fullmatch(found.group()) is not None
        if is_share and (end := self._accept(_OF)) is not None:
            whole = self._factor()
            if whole is not None:
                return self._record(amount * whole)
            self.at = end.start()
        return amount

    def _postfixed(self, amount: Fraction) -> Fraction | None:
        """Return a number changed by what follows it: squared, 的一半."""
        end = self.at
        if found := self._accept(_MULTIPLIED):
            times = parse_number(found.group(1))
            if times is not None:
                times = times / 100 if found.group(2) in ("%", "％") else times
                self.operands.append(times)
                return amount * times
        for suffix, pattern in _SUFFIXES:
            if self._accept(pattern) and (result := _unary(suffix, amount)) is not None:
                return result
        self.at = end
        return None

    def _accept(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def _record(self, result: Fraction) -> Fraction:
        self.steps.append(result)
        return result


def _binary(operator: str, left: Fraction, right: Fraction) -> Fraction | None:
    if _is_large(left) or _is_large(right):
        return None
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "from":
            return right - left
        case "*":
            return left * right
        case _:
            return left / right if right else None


def _is_large(amount: Fraction) -> bool:
    """Whether a number is too large to be worth computing: powers of powers never end."""
    return max(abs(amount.numerator), amount.denominator) > _MAX_SIZE


def _unary(name: str, amount: Fraction) -> Fraction | None:
    if _is_large(amount):
        return None
    match name:
        case "double":
            return 2 * amount
        case "triple":
            return 3 * amount
        case "square":
            return amount**2
        case "cube":
            return amount**3
        case _:
            return _root(amount)


def _root(amount: Fraction) -> Fraction | None:
    """Return a square root if it is rational."""
    if amount < 0:
        return None
    root = Fraction(math.isqrt(amount.numerator), math.isqrt(amount.denominator))
    return root if root**2 == amount else None
