"""Numbers as they are written, and in characters."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span

SCALE = r"(?:\s?(?:万亿|千万|百万|十万|[十百千万亿]))"
ALONE = r"(?<![A-Za-z0-9.,_])"
"""No part of a longer word or number stands before."""
UNSIGNED = r"(?<![A-Za-z0-9.,$€£¥￥-])"
"""Nor a sign of money, nor a hyphen."""
MINUS = "[-−–]"
YEARS = re.compile(r"[(（](?:1\d|20)\d\d-(?:1\d|20)\d\d[)）]")
"""When somebody lived, or something was: （1840-1926）."""
TO = r"\s?(?:--|––|——|[–—−~～-]|至|到)\s?"

_SHORT_CODES = {4: ((2, 2),), 5: ((2, 3), (3, 2)), 6: ((3, 3), (2, 2, 2))}
"""The groups of a short code: the first of these in which no digit stands three times in a row.

Short syllables run into each other: 幺二，零八 is heard where 幺二零八 is 幺零八."""

_THRICE = re.compile(r"(\d)\1\1")
"""The same digit three times: who hears that loses count."""

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
    runs = _digit_runs(text, span)
    short = _SHORT_CODES if len(runs) == 1 else {}
    groups = [group for run in runs for group in _called_groups(text, run, short)]
    return _one_by_one(text, span, groups, numerals.chinese_code)


def digits(text: str, span: Span) -> Reading:
    """Return the digits of a text one by one, as those of a year."""
    runs = _digit_runs(text, span)
    groups = [group for run in runs for group in _cut(run, numerals.digit_groups(run[1] - run[0]))]
    return _one_by_one(text, span, groups, numerals.chinese_digits)


def _digit_runs(text: str, span: Span) -> list[Span]:
    return [run.span() for run in _DIGIT_RUNS.finditer(text, *span)]


def _called_groups(
    text: str, run: Span, short: Mapping[int, Sequence[Sequence[int]]]
) -> Iterator[Span]:
    """Cut a run so that no group has a digit three times in a row, where that can be."""
    count = run[1] - run[0]
    choices = [_cut(run, sizes) for sizes in short.get(count, (numerals.digit_groups(count),))]
    for group in min(choices, key=lambda groups: sum(_has_thrice(text, each) for each in groups)):
        is_halved = _has_thrice(text, group) and group[1] - group[0] == 4
        yield from _cut(group, (2, 2)) if is_halved else [group]


def _cut(run: Span, sizes: Sequence[int]) -> list[Span]:
    stops = [run[0], *(run[0] + size for size in itertools.accumulate(sizes))]
    return list(itertools.pairwise(stops))


def _has_thrice(text: str, group: Span) -> bool:
    return _THRICE.search(text[slice(*group)]) is not None


def _one_by_one(
    text: str, span: Span, groups: Iterable[Span], say: Callable[[str], str]
) -> Reading:
    said: list[tuple[str, Span]] = []
    end = span[0]
    for start, stop in groups:
        first = start + 1
        said.append((("，" if said else "") + say(text[start]), (end, first)))
        if first < stop:
            said.append((say(text[first:stop]), (first, stop)))
        end = stop
    return [*said, ("", (end, span[1]))] if end < span[1] else said


def before(match: re.Match[str], length: int = 24) -> str:
    """Return what stands before a match in its sentence."""
    text = match.string[max(0, match.start() - length) : match.start()]
    return re.split(r"[。！？；;!?\n]", text)[-1]


def behind(match: re.Match[str], length: int = 12) -> str:
    """Return what stands behind a match."""
    return match.string[match.end() : match.end() + length]
