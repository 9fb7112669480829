"""Numbers as they are written, and in characters."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span

SCALE = r"(?:\s?(?:万亿|千万|百万|十万|[十百千万亿]))"
ALONE = r"(?<![A-Za-z0-9.,_])"
"""No part of a longer word or number stands before."""
UNSIGNED = r"(?<![A-Za-z0-9.,$€£¥￥-])"
"""Nor a sign of money, nor a hyphen."""
MINUS = "[-−–]"
TO = r"\s?(?:[–—−~～-]{1,2}|至|到)\s?"

_SHORT_CODES = {4: (2, 2), 5: (2, 3)}
"""Short syllables run into each other: 幺二，零八 is heard where 幺二零八 is 幺零八."""

_DIGIT_RUNS = re.compile(r"\d+", re.ASCII)


def number(written: str) -> str:
    """Return a number: 1,200 or 3.5; one that begins with 0 is a code, digit by digit."""
    whole, _, decimals = written.replace(",", "").partition(".")
    is_code = len(whole) > 1 and whole.startswith("0")
    if is_code or len(whole) > 15:
        said = numerals.chinese_digits(whole)
    else:
        said = numerals.chinese(int(whole or "0"))
    return f"{said}点{numerals.chinese_digits(decimals)}" if decimals else said


def count(written: str, scale: str = "") -> str:
    """Return how many of something there are: 两 of them, not 二; with a scale such as 万."""
    said = number(written)
    return f"{'两' if said == '二' else said}{scale.strip()}"


def code(text: str, span: Span) -> Reading:
    """Return the digits of a text as they are called out, with a pause between groups of them."""
    return _one_by_one(text, span, is_called=True)


def digits(text: str, span: Span) -> Reading:
    """Return the digits of a text one by one, as those of a year."""
    return _one_by_one(text, span, is_called=False)


def _one_by_one(text: str, span: Span, *, is_called: bool) -> Reading:
    say = numerals.chinese_code if is_called else numerals.chinese_digits
    said: list[tuple[str, Span]] = []
    end = span[0]
    runs = list(_DIGIT_RUNS.finditer(text, *span))
    short = _SHORT_CODES if is_called and len(runs) == 1 else {}
    for start, stop in _groups(runs, short):
        first = start + 1
        said.append((("，" if said else "") + say(text[start]), (end, first)))
        if first < stop:
            said.append((say(text[first:stop]), (first, stop)))
        end = stop
    return [*said, ("", (end, span[1]))] if end < span[1] else said


def _groups(runs: Iterable[re.Match[str]], short: Mapping[int, Sequence[int]]) -> Iterator[Span]:
    for run in runs:
        start = run.start()
        count = len(run[0])
        for size in short.get(count) or numerals.digit_groups(count):
            yield start, start + size
            start += size


def before(match: re.Match[str], length: int = 24) -> str:
    """Return what stands before a match in its sentence."""
    text = match.string[max(0, match.start() - length) : match.start()]
    return re.split(r"[。！？；;!?\n]", text)[-1]


def behind(match: re.Match[str], length: int = 12) -> str:
    """Return what stands behind a match."""
    return match.string[match.end() : match.end() + length]
