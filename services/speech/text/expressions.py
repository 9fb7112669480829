"""Arithmetic expressions in any language: operands, signs and powers."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from services.speech.text.alignment import Reading, Span

NUMBER = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d{1,2}(?:,\d\d(?=,))++,\d{3}(?!\d)|\d++)(?:\.\d++)?+"
"""With or without thousands separators, those of India too (1,50,000), and decimals."""
SUPERSCRIPT = "⁻?[⁰¹²³⁴-⁹]{1,4}"
"""An exponent."""
GREEK = "(?<![Ͱ-Ͽ])[Α-Ωα-ω](?![Ͱ-Ͽ])"
"""A single Greek letter, not a Greek word."""

_LETTER = "(?<![A-Za-z])(?:[A-Za-z]|mc)(?![A-Za-z])"
_VARIABLES = r"(?:[abcnxyz]{2,3}|(?!x\s?\d|k?m/[sh])[A-Za-z])"
"""What a number multiplies: 2x, 4ac, but not the unit of 5 m/s."""
_TERM = rf"(?:{NUMBER}{_VARIABLES}?(?!(?!k?m/[sh])[A-Za-z])|π|{_LETTER})"
_OPERAND = rf"(?>√?\(?[-−]?√?{_TERM}(?:{SUPERSCRIPT})?\)?(?:{SUPERSCRIPT})?|\?)"
_OPERATOR = r"(?:\*\*|\*|×|·|÷|/|\+|-|−|–|\^|==?|≠|!=|≈|≤|≥|<=|>=|<|>|±|x(?=\s?\d))"
EXPRESSION = (
    rf"(?<![A-Za-z0-9_.,$€£¥￥+*/^=-])-?{_OPERAND}(?:\s?{_OPERATOR}\s?[-−–]?{_OPERAND}){{1,40}}+"
    r"(?!(?!k?m/[sh])[A-Za-z0-9_$€£¥￥%％‰°℃]|[.,]\d)"
)
_MINUS = frozenset("-−–")
_AFTER_OPERANDS = frozenset("π")
_EXPONENTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_DIGITS = re.compile(r"\d+", re.ASCII)
_SURE = re.compile(r"[*×÷+^=≠≈≤≥<>±√⁰¹²³⁴-⁹]")
_FRACTION = r"(?<![\d.,/])\d{1,2}/\d{1,3}(?![\d.,/])"
_SIGNS_AND_OPERANDS = (
    rf"{NUMBER}|(?P<times>(?<=\d)\s?x(?=\s?\d))|[A-Za-z]+|(?P<exponent>{SUPERSCRIPT})"
    r"|\*\*|[<>!=]=|[^\s\w]|π"
)
_TOKEN = re.compile(rf"(?P<fraction>{_FRACTION})|{_SIGNS_AND_OPERANDS}", re.ASCII)
_TOKEN_WITHOUT_FRACTIONS = re.compile(_SIGNS_AND_OPERANDS, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionReader:
    """Reads expressions aloud in one language: its signs, its numbers, and its word separator.

    `squares` are powers with a name of their own, `power` names the others by their exponent,
    `negative` is the sign of a number.
    """

    signs: Mapping[str, str]
    number: Callable[[str], str]
    fraction: Callable[[int, int], str]
    squares: Mapping[str, str]
    power: Callable[[str], str]
    space: str
    negative: str

    def read(self, match: re.Match[str]) -> Reading | None:
        """Read a match of EXPRESSION; None unless it has a sign that can mean nothing else."""
        if not _SURE.search(match[0]):
            return None
        said: list[tuple[str, Span]] = []
        end = match.start()
        is_power = False
        is_operand = True
        for token in _tokens(match):
            if token[0] in ("^", "**"):
                is_power = True
                continue
            words = self.negative if is_operand and token[0] in _MINUS else self._words(token)
            is_operand = token[0] == "(" or (
                token[0] in self.signs and token[0] not in _AFTER_OPERANDS
            )
            if is_power:
                words = self.squares.get(token[0]) or self.power(words)
            is_power = False
            if words:
                said.append(((self.space if said else "") + words, (end, token.end())))
                end = token.end()
        return [*said, ("", (end, match.end()))] if end < match.end() else said

    def raised(self, superscript: str) -> str:
        """Return the words of an exponent that is written as a superscript."""
        exponent = superscript.translate(_EXPONENTS)
        if exponent in self.squares:
            return self.squares[exponent]
        sign = f"{self.negative}{self.space}" if exponent.startswith("-") else ""
        return self.power(sign + self.number(exponent.lstrip("-")))

    def _words(self, token: re.Match[str]) -> str:
        text = token[0]
        if token.lastgroup == "exponent":
            return self.raised(text)
        if token.lastgroup == "times":
            return self.signs["×"]
        if token.lastgroup == "fraction":
            numerator, denominator = text.split("/")
            return self.fraction(int(numerator), int(denominator))
        if text[0].isdecimal():
            return self.number(text)
        return self.signs.get(text, text if text.isalpha() or text in "()" else "")


def subscript(written: str) -> int:
    """Return the value of digits that are written as subscripts."""
    return int(unicodedata.normalize("NFKC", written))


def read_symbol(match: re.Match[str]) -> str:
    """Return the name of a Greek letter."""
    return unicodedata.name(match[0]).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda")


def read_series(match: re.Match[str], number: Callable[[str], str], between: str) -> Reading:
    """Read a series of more than two numbers: 1-2-3, 1:2:3."""
    said: list[tuple[str, Span]] = []
    end = match.start()
    for run in _DIGITS.finditer(match.string, *match.span()):
        said.append(((between if said else "") + number(run[0]), (end, run.end())))
        end = run.end()
    return said


def _tokens(match: re.Match[str]) -> Iterator[re.Match[str]]:
    pattern = _TOKEN if _has_fractions(match[0]) else _TOKEN_WITHOUT_FRACTIONS
    return pattern.finditer(match.string, *match.span())


def _has_fractions(text: str) -> bool:
    """Whether the slashes are those of fractions: 1/2 + 1/4, not 6/2."""
    pairs = [each.split("/") for each in re.findall(_FRACTION, text)]
    return text.count("/") == len(pairs) and all(int(one) < int(many) for one, many in pairs)
