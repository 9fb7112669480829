"""Times of day and time zones."""

import re

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span, replace, rule
from services.speech.text.english.numbers import ALONE, before, behind, number

_HALF = r"(?:\s?(?P<half>[apAP])(?:\.\s?[mM]\.|[mM]\b\.?))"
_NOT_A_TIME = re.compile(r"\b(?:ratio|odds|scale|aspect|score|proportion|mix)\b[^.]{0,20}$", re.I)
_A_RATIO = re.compile(r" (?:ratio|odds|mix|scale)\b")
_IN = r"(?<![\w-])(?<!check )(?<!checked )(?<!come )(?<!logged )(?<!clocked )in $"
_WITHIN = re.compile(
    r"\bclocked $|\b(?:ran|swam|rowed|cycled|walked|raced|covered|climbed|solved|did it|done|won"
    rf"|finish(?:e[ds])?|complete[ds]?)\b[^.;]{{0,30}}{_IN}"
    rf"|\b(?:mile|marathon|laps?|\d+ ?(?:k?m|k)) {_IN}",
    re.IGNORECASE,
)
"""Before the time that something took, which is no time of day."""
_LASTING = re.compile(
    rf"{_IN}|\b(?:clocked|took|takes|lasted|lasts|ran) $"
    r"|\b(?:(?<!log )record|marathon|length|duration|runtime(?! error)|running time"
    r"|(?:personal|his|her|my) best)\b"
    r"(?:[^.;]{0,30}\b(?:is|was|of|in|stands at|to|under|about|just|only|exactly))?:? $",
    re.IGNORECASE,
)
"""What takes the hours, minutes and seconds that follow."""
_RACING = re.compile(
    r"\b(?:laps?|records?|swam|swims?|ran|race[ds]?|finals?|finish\w*|clocked|won|times?|best)\b"
)
"""What 1:25.43 is the time of, and not a ratio."""

_O_CLOCK = "o'clock"
_TO = r"\s?[-–—−~]\s?"


def _half(match: re.Match[str]) -> str:
    written = match["half"]
    return f" {written.lower()}.m." if written else ""


def _is_ratio(match: re.Match[str]) -> bool:
    return bool(_NOT_A_TIME.search(before(match)) or _A_RATIO.match(behind(match)))


def _time(match: re.Match[str]) -> str | None:
    """Read a time of day; one of the 24-hour clock as people say it, 20:00 as eight p.m."""
    if _is_ratio(match):
        return None
    hour, minute, half = int(match["hour"]), int(match["minute"]), _half(match)
    seconds = int(match["second"] or 0)
    if match["second"] and not half and _LASTING.search(before(match)):
        parts = ((hour, "hour"), (minute, "minute"), (seconds, "second"))
        return ", ".join(_named(count, name) for count, name in parts if count) or "zero seconds"
    if not half and _WITHIN.search(before(match)):
        return _hour_and_minute(hour, match["minute"]) if hour else _seconds(minute)
    if not half and not seconds:
        return _without_second_stop(time_of_day(hour, minute), match)
    if not half:
        hour, half = _on_the_dial(hour)
    words = _hour_and_minute(hour, match["minute"])
    seconds_too = f" and {_seconds(seconds)}" if match["second"] else ""
    return _without_second_stop(f"{words}{seconds_too}{half}", match)


def _without_second_stop(words: str, match: re.Match[str]) -> str:
    """Return the words of a match without their last full stop if another one follows."""
    return words.removesuffix(".") if behind(match, 1) == "." else words


def time_of_day(hour: int, minute: int) -> str:
    """Return a time of the 24-hour clock: nine o'clock, nine oh five, eight p.m., midnight."""
    if hour % 24 == 0 and not minute:
        return "midnight"
    if 0 < hour < 13:
        return f"{numerals.english(hour)} {_minutes(minute) or _O_CLOCK}"
    hour, half = _on_the_dial(hour)
    return f"{_hour_and_minute(hour, str(minute))}{half}"


def _on_the_dial(hour: int) -> tuple[int, str]:
    """Return the hour on a clock's face, and the half of the day if that is not clear."""
    if 0 < hour < 13:
        return hour, ""
    return hour % 12 or 12, " p.m." if 12 < hour < 24 else " a.m."


def _military(match: re.Match[str]) -> str:
    return f"{numerals.english(int(match[1]))} {_minutes(int(match[2])) or 'hundred'}"


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


def _race(match: re.Match[str]) -> str | None:
    """Read what a stopwatch shows, 2:08.92, but not what 1:12.5 may as well be, a ratio."""
    is_racing = match[1] != "1" or _RACING.search(f"{before(match)} {behind(match)}")
    if _is_ratio(match) or not is_racing:
        return None
    whole, decimals = str(int(match[2])), match[3]
    return f"{_named(int(match[1]), 'minute')} {number(f'{whole}.{decimals}')} seconds"


def _stopped(match: re.Match[str]) -> str:
    """Read minutes and seconds: thirty minutes, thirty-one oh five."""
    return f"{numerals.english(int(match[1]))} {_minutes(int(match[2])) or 'minutes'}"


def _named(count: int, name: str) -> str:
    return f"{numerals.english(count)} {name}{'' if count == 1 else 's'}"


def _duration(match: re.Match[str]) -> Reading:
    names = (("hour", 1), ("minute", 2), ("second", 3))
    said: list[tuple[str, Span]] = []
    end = match.start()
    for name, group in names:
        if match[group]:
            count = int(match[group])
            said.append(((" " if said else "") + _named(count, name), (end, match.end(group) + 1)))
            end = match.end(group) + 1
    return [*said, ("", (end, match.end()))] if end < match.end() else said


RULES = (
    rule(r"(?:(?<=\bin )|(?<=clocked ))(2[5-9]|[3-5]\d):([0-5]\d)(?![\w:]|[.,]\d)", _stopped),
    rule(rf"{ALONE}(?<!\d:)(\d{{1,2}}):([0-5]\d)\.(\d{{1,3}})(?![\w:]|[.,]\d)", _race),
    rule(r"(?<![\w.,])([1-5])h([0-5]\d)()(?!\w)", _duration),
    replace(r"\bT-(?=\d+ (?:second|minute|hour|day)s?\b)", "T minus "),
    rule(r"(?<![\w.,])(\d{1,3})h(?:rs?)?\s?(\d{1,2})m(?:in)?(?:\s?(\d{1,2})s)?(?!\w)", _duration),
    rule(
        rf"(?<![\w.,$])(?<!\d:)(?P<first>1?\d)(?::(?P<first_minute>[0-5]\d))?(?P<to>{_TO})"
        rf"(?P<hour>1?\d)(?::(?P<minute>[0-5]\d))?{_HALF}",
        _hours,
    ),
    rule(
        r"(?<![\w.,$])(?<!\d:)(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
        rf"(?:{_HALF}|\s?h\b|(?=ish\b)|(?![\w:]|[.,]\d))",
        _time,
    ),
    rule(rf"{ALONE}(?P<hour>1?\d)\.(?P<minute>[0-5]\d)(?P<second>(?!))?{_HALF}", _time),
    rule(rf"{ALONE}([01]\d|2[0-3])([0-5]\d)(?= hours\b)", _military),
    rule(
        rf"{ALONE}(?P<hour>1\d|2[0-3]|0?[6-9])h(?P<minute>[0-5]\d)(?P<second>(?!))?(?P<half>(?!))?(?!\w)",
        _time,
    ),
    rule(rf"(?<![\w.,$])(?<!\d:)(?P<hour>\d{{1,2}}){_HALF}", _hour),
    rule(r"\b(?:UTC|GMT)(?P<sign>[+−-])(?P<hour>1?\d)(?::?(?P<minute>[0-5]\d))?\b", _zone),
    rule(r"(?:(?<=[apAP][mM])|(?<=\.m\.)|(?<=:\d\d))(\s?[-–—−~]\s?)(?=\d)", lambda _: " to "),
)
