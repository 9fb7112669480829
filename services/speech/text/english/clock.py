"""Times of day and time zones."""

import re

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span, rule
from services.speech.text.english.numbers import ALONE, before, behind

_HALF = r"(?:\s?(?P<half>[apAP])(?:\.\s?[mM]\.|[mM]\b\.?))"
_NOT_A_TIME = re.compile(r"\b(?:ratio|odds|scale|aspect|score|proportion|mix)\b[^.]{0,20}$", re.I)
_O_CLOCK = "o'clock"
_TO = r"\s?[-–—−~]\s?"


def _half(match: re.Match[str]) -> str:
    written = match["half"]
    return f" {written.lower()}.m." if written else ""


def _time(match: re.Match[str]) -> str | None:
    if _NOT_A_TIME.search(before(match)) or re.match(r" (?:ratio|odds|mix)\b", behind(match)):
        return None
    hour, minute, half = int(match["hour"]), int(match["minute"]), _half(match)
    seconds = match["second"]
    words = numerals.english(hour)
    if seconds:
        words = f"{words} {_minutes(minute) or 'hundred'} and {_seconds(int(seconds))}"
    elif minute:
        words = f"{words} {_minutes(minute)}"
    elif not half:
        words = _whole_hour(hour)
    return words + half


def _military(match: re.Match[str]) -> str:
    return f"{numerals.english(int(match[1]))} {_minutes(int(match[2])) or 'hundred'}"


def _whole_hour(hour: int) -> str:
    if hour in (0, 24):
        return "midnight"
    return f"{numerals.english(hour)} {'hundred' if hour > 12 else _O_CLOCK}"


def _minutes(minute: int) -> str:
    return f"{'oh ' if 0 < minute < 10 else ''}{numerals.english(minute)}" if minute else ""


def _seconds(second: int) -> str:
    return f"{numerals.english(second)} {'second' if second == 1 else 'seconds'}"


def _hour(match: re.Match[str]) -> str | None:
    hour = int(match["hour"])
    return numerals.english(hour) + _half(match) if hour <= 24 else None


def _hours(match: re.Match[str]) -> Reading | None:
    """Read a range with a.m. or p.m. after its end: 9-11 a.m."""
    first, last = int(match["first"]), int(match["hour"])
    if first > 12 or last > 12:
        return None
    return [
        (_hour_and_minute(first, match["first_minute"]), (match.start(), match.start("to"))),
        (" to ", match.span("to")),
        (
            _hour_and_minute(last, match["minute"]) + _half(match),
            (match.end("to"), match.end()),
        ),
    ]


def _hour_and_minute(hour: int, minute: str | None) -> str:
    return f"{numerals.english(hour)} {_minutes(int(minute or 0))}".rstrip()


def _zone(match: re.Match[str]) -> Reading:
    sign = " plus " if match["sign"] == "+" else " minus "
    hours = _hour_and_minute(int(match["hour"]), match["minute"])
    return [(sign, match.span("sign")), (hours, (match.end("sign"), match.end()))]


def _duration(match: re.Match[str]) -> Reading:
    names = (("hour", 1), ("minute", 2), ("second", 3))
    said: list[tuple[str, Span]] = []
    end = match.start()
    for name, group in names:
        if match[group]:
            count = int(match[group])
            words = f"{numerals.english(count)} {name}{'' if count == 1 else 's'}"
            said.append(((" " if said else "") + words, (end, match.end(group) + 1)))
            end = match.end(group) + 1
    return [*said, ("", (end, match.end()))] if end < match.end() else said


RULES = (
    rule(r"(?<![\w.,])(\d{1,3})h(?:rs?)?\s?(\d{1,2})m(?:in)?(?:\s?(\d{1,2})s)?(?!\w)", _duration),
    rule(
        rf"(?<![\w.,$])(?<!\d:)(?P<first>1?\d)(?::(?P<first_minute>[0-5]\d))?(?P<to>{_TO})"
        rf"(?P<hour>1?\d)(?::(?P<minute>[0-5]\d))?{_HALF}",
        _hours,
    ),
    rule(
        r"(?<![\w.,$])(?<!\d:)(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
        rf"(?:{_HALF}|\s?h\b|(?![\w:]|[.,]\d))",
        _time,
    ),
    rule(rf"{ALONE}(?P<hour>1?\d)\.(?P<minute>[0-5]\d)(?P<second>(?!))?{_HALF}", _time),
    rule(rf"{ALONE}([01]\d|2[0-3])([0-5]\d)(?= hours\b)", _military),
    rule(rf"(?<![\w.,$])(?<!\d:)(?P<hour>\d{{1,2}}){_HALF}", _hour),
    rule(r"\b(?:UTC|GMT)(?P<sign>[+−-])(?P<hour>1?\d)(?::?(?P<minute>[0-5]\d))?\b", _zone),
    rule(r"(?:(?<=[apAP][mM])|(?<=\.m\.)|(?<=:\d\d))(\s?[-–—−~]\s?)(?=\d)", lambda _: " to "),
)
