"""Written numbers, and their words."""

import re
from collections.abc import Iterator

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span

ALONE = r"(?<![\w.,])"
"""Not preceded by part of a longer word or number."""
UNSIGNED = r"(?<![\w.,$€£¥-])"
"""Nor by a currency sign or a hyphen."""
RANGE = r"(?:\s?[–—−~-]\s?|\sto\s)"
MINUS = "[-−–]"
YEARS = re.compile(r"\((?:1\d|20)\d\d-(?:1\d|20)\d\d\)")
"""When somebody lived, or something was: (1840-1926)."""

_DIGIT_RUNS = re.compile(r"\d+")


def number(written: str) -> str:
    """Return a number in words, 1,200 or 3.5; one with a leading 0 is a code, digit by digit."""
    whole, _, decimals = written.replace(",", "").partition(".")
    is_code = len(whole) > 1 and whole.startswith("0")
    if is_code or len(whole) > 15:
        said = numerals.english_digits(whole)
    else:
        said = numerals.english(int(whole or "0"))
    return f"{said} point {numerals.english_digits(decimals)}" if decimals else said


def digits_of(text: str, span: Span) -> Reading:
    """Return the digits of a text one by one, with a pause between groups of them."""
    said: list[tuple[str, Span]] = []
    end = span[0]
    for start, stop in _groups(text, span):
        for at in range(start, stop):
            pause = "" if not said else ", " if at == start else " "
            said.append((pause + numerals.english_digits(text[at]), (end, at + 1)))
            end = at + 1
    if said and end < span[1]:
        last, (start, _) = said[-1]
        said[-1] = (last, (start, span[1]))
    return said


def _groups(text: str, span: Span) -> Iterator[Span]:
    for run in _DIGIT_RUNS.finditer(text, *span):
        start = run.start()
        for size in numerals.digit_groups(len(run[0])):
            yield start, start + size
            start += size


def follows(match: re.Match[str], pattern: re.Pattern[str]) -> bool:
    """Whether a pattern matches directly after a match."""
    return pattern.match(match.string, match.end()) is not None


def behind(match: re.Match[str], length: int = 12) -> str:
    """Return the text after a match."""
    return match.string[match.end() : match.end() + length]


def before(match: re.Match[str], length: int = 48) -> str:
    """Return the text before a match in its sentence."""
    text = match.string[max(0, match.start() - length) : match.start()]
    return re.split(r"[.!?;]\s(?=\S)|\n", text)[-1]
