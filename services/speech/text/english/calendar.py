"""Dates, years, decades and centuries."""

import re

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span, replace, rule
from services.speech.text.english.clock import time_of_day
from services.speech.text.english.numbers import UNSIGNED, before, follows, number

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTH = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
_DAY = "Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun"
_YEAR = r"(?:1\d|20)\d\d(?![\d-]|[.,]\d)"
_DAY_NUMBER = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_DASH = r"\s?[-–—]\s?"
_JOINT = r"\s?(?:[-–—/&]|,(?: (?:and|or|&))?|and|or|to|thru|through)\s?"
"""Between the names of days, and of months."""
_PLAIN_DAY = "Tues?|Thurs?|Fri"
_WORD_LIKE_DAY = "Mon|Wed|Thu|Sat|Sun"
"""Words or names as well: Mon ami, Thu is a name."""
_NO_NAME = r"(?![’']s|, (?:my|our|your|his|her|their|an?|the|who)\b| (?:is|was|has|said|says)\b)"
_SHORT_MONTH = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
_OTHER_NAME = r"(?! (?!(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b)[A-Z][a-z])"
"""What follows does not make it a person's or a place's name: Jan Smith, Mon Repos."""

_BEFORE_YEAR = re.compile(
    r"\b(?:in|since|of|from|until|till|by|year|before|after|during|around|circa|ca\.?|c\.|est\.|early|late"
    r"|mid|spring|summer|autumn|fall|winter|born|died|[bdr]\.|fl\.|founded|established|copyright|©"
    r"|class of|to|between|and|AD|CE) (?:the )?(?:year |early |late |spring |summer |of )?[(]?$",
    re.IGNORECASE,
)
_SURELY_BEFORE_YEAR = re.compile(r"\b(?:in|since|year|during|circa) (?:the )?[(]?$", re.IGNORECASE)
_SEASON = re.compile(r" (?:season|school|academic|fiscal|campaign|term|budget)\b")
_TAKING = re.compile(
    r"\b(?:wait|hold|pause|sleep|rest|plank|sprint|walk|jog|boil|stir|microwave|within|every|after|takes?|took"
    r"|lasts?|lasted)(?: (?:it|them))?(?: (?:for|about|at least|another))? $",
    re.IGNORECASE,
)
_TAKEN = re.compile(
    r"$|[.,;:!?)\]]| [-–(]| ?—| (?:of|then|until|till|for|to|an?|the|or|each|more|per|on|off"
    r"|after|before|without|with no|between|it|we|you|add|stir|remove|press|stop"
    r"|longer|at|if|while|when|in total|and(?! (?:early |late )?['’‘]?\d))\b"
)
"""What stands before and after seconds, 30s, but not at both ends of a decade: every 90s kid."""
_DENOMINATORS = (*range(2, 11), 12, 16)
_DATED = re.compile(
    r"[^.!?;\n]{0,20}\b(?:closed|dates?|trip|vacation|holidays?|week(?:end)? of|event|festival|sale"
    r"|conference|camp|meeting|booked|check-in|exhibition|exams?"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)\b|\bon $",
    re.IGNORECASE,
)
_MEASURED = re.compile(r"\s?(?:\"|″|of\b|(?:an? )?(?:cups?|inch(?:es)?|tsp|tbsp|miles?|full)\b)")
_THE = re.compile(r"\bthe $", re.IGNORECASE)
_COUNTED = re.compile(
    r" (?:people|men|women|children|more|other|(?!was\b|is\b|has\b|this\b|as\b|us\b|does\b"
    r"|its\b|always\b)[a-z]+s)\b"
)


def _month(written: str) -> str:
    return next(each for each in _MONTHS if each.startswith(written[:3]))


def _ordinal(written: str) -> str:
    return numerals.english_ordinal(int(re.sub(r"\D", "", written)))


def _date(month: int, day: int, year: int) -> str | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{_MONTHS[month - 1]} {numerals.english_ordinal(day)}, {numerals.english_year(year)}"


def _iso_date(match: re.Match[str]) -> str | None:
    return _date(int(match["month"]), int(match["day"]), int(match["year"]))


def _timestamp(match: re.Match[str]) -> str | None:
    if not (date := _iso_date(match)):
        return None
    time = time_of_day(int(match["hour"]), int(match["minute"]))
    return f"{date} at {time}{' UTC' if match['zone'] else ''}"


def _round_numbers(match: re.Match[str]) -> str:
    return {"10": "tens", "100": "hundreds"}.get(match[1], "thousands")


def _slashed_date(match: re.Match[str]) -> str | None:
    """Read the month first, as in American English, unless it is invalid; with dots the day."""
    first, second, year = int(match[1]), int(match[3]), match[4]
    if match[2] == ".":
        first, second = second, first
    full_year = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < 50 else 1900)
    return _date(first, second, full_year) or _date(second, first, full_year)


def _month_and_day(match: re.Match[str]) -> Reading:
    said: list[tuple[str, Span]] = [(_month(match["month"]), match.span("month"))]
    said.append((" " + _ordinal(match["day"]), (match.end("month"), match.end("day"))))
    if match["last"]:
        said.append((" to " + _ordinal(match["last"]), (match.end("day"), match.end("last"))))
    if match["year"]:
        start = match.end("last") if match["last"] else match.end("day")
        said.append((", " + numerals.english_year(int(match["year"])), (start, match.end())))
    return said


def _day_and_month(match: re.Match[str]) -> Reading:
    lead = "" if _THE.search(before(match, 8)) else "the "
    first = lead + _ordinal(match["day"])
    said: list[tuple[str, Span]] = [(first, match.span("day"))]
    end = match.end("day")
    if match["last"]:
        said.append((" to the " + _ordinal(match["last"]), (end, match.end("last"))))
        end = match.end("last")
    said.append((" of " + _month(match["month"]), (end, match.end("month"))))
    if match["year"]:
        year = numerals.english_year(int(match["year"]))
        said.append((", " + year, (match.end("month"), match.end())))
    return said


def _month_and_year(match: re.Match[str]) -> Reading:
    year = numerals.english_year(int(match["year"]))
    return [
        (_month(match["month"]), match.span("month")),
        (" " + year, (match.end("month"), match.end())),
    ]


def _weekday(written: str) -> str:
    return next(each for each in _DAYS if each.startswith(written[:3]))


def _weekdays(match: re.Match[str]) -> Reading:
    return [
        (_weekday(match[1]), match.span(1)),
        (" to ", (match.end(1), match.end(2))),
        (_weekday(match[3]), match.span(3)),
    ]


def _next_month(match: re.Match[str]) -> Reading:
    joint = " to " if match[1].strip() in ("-", "–", "—") else match[1]
    return [(joint, match.span(1)), (_month(match[2]), match.span(2))]


def _month_of_year(match: re.Match[str]) -> str:
    """Read 2005-07 as a month, but 2005-06 as two years; with a slash those only of a season."""
    is_next = int(match[3]) == (int(match[1]) + 1) % 100
    if _SEASON.match(match.string, match.end()) or (is_next and match[2] == "-"):
        return f"{numerals.english_year(int(match[1]))} to oh {number(match[3].lstrip('0'))}"
    return f"{_MONTHS[int(match[3]) - 1]} {numerals.english_year(int(match[1]))}"


def _plain_year(match: re.Match[str]) -> str | None:
    year = int(match[0])
    context = before(match)
    is_counted = _COUNTED.match(match.string, match.end()) is not None
    if is_counted and not _SURELY_BEFORE_YEAR.search(context):
        return numerals.english_year(year) if _THE.search(context) and year >= 1900 else None
    if 1900 < year < 2100 or _BEFORE_YEAR.search(context):
        return numerals.english_year(year)
    return None


def _decade(match: re.Match[str]) -> str | None:
    if not match["century"] and _TAKING.search(before(match)) and follows(match, _TAKEN):
        return None
    century, rest = match["century"] or "", int(match["tens"])
    if rest:
        words = numerals.english_plural(numerals.english(rest))
        return f"{numerals.english(int(century))} {words}" if century else words
    if int(century) % 10 == 0:
        return numerals.english_plural(numerals.english(int(century) * 100))
    return f"{numerals.english(int(century))} hundreds"


def _business_year(match: re.Match[str]) -> Reading:
    year = int(match[2])
    words = numerals.english_year(year) if year >= 1000 else numerals.english(year)
    kind = "fiscal" if match[1] == "FY" else "calendar"
    said = [(f"{kind} year", match.span(1)), (f" {words}", (match.end(1), match.end(2)))]
    if match[3]:
        said.append((f" to {numerals.english(int(match[3]))}", (match.end(2), match.end())))
    return said


def _era(match: re.Match[str]) -> str:
    year = match[1]
    said = numerals.english_year(int(year)) if re.fullmatch(r"\d{4}", year) else number(year)
    return f"{said} {' '.join(match[2].replace('.', ''))}"


def _years(match: re.Match[str]) -> Reading | None:
    first, last = match[1], match[3]
    if len(last) == 4 and not int(first) < int(last) < 2200:
        return None
    short = int(last)
    if "/" in match[2] and short % 100 != (int(first) + 1) % 100:
        return None
    words = numerals.english_year(short) if len(last) == 4 else numerals.english(short)
    if len(last) == 2 and (short < 10 or short <= int(first) % 100):
        return None
    return [
        (numerals.english_year(int(first)), match.span(1)),
        (" to ", match.span(2)),
        (words, match.span(3)),
    ]


def _slashed_dates(match: re.Match[str]) -> Reading | None:
    """Read a range of days, 12/24-12/26, but not one of fractions: 1/2-3/4 cup."""
    days = [(int(match[month]), int(match[month + 1])) for month in (1, 4)]
    if not all(1 <= month <= 12 and 1 <= day <= 31 for month, day in days):
        return None
    crosses_new_year = days[0][0] >= 11 and days[1][0] <= 2
    if days[1] <= days[0] and not crosses_new_year:
        return None
    are_fractions = all(over <= under and under in _DENOMINATORS for over, under in days)
    is_dated = _DATED.search(before(match)) or _DATED.match(match.string, match.end())
    if _MEASURED.match(match.string, match.end()) or (are_fractions and not is_dated):
        return None
    first, last = (f"{_MONTHS[month - 1]} {numerals.english_ordinal(day)}" for month, day in days)
    return [
        (first, (match.start(), match.end(2))),
        (" to ", match.span(3)),
        (last, (match.start(4), match.end())),
    ]


RULES = (
    rule(
        r"(?<![\w./-])(\d{1,2})/(\d{1,2})(\s?[-–]\s?)(\d{1,2})/(\d{1,2})(?![\w/-]|[.,]\d)",
        _slashed_dates,
    ),
    replace(r"(?<=\dst|\dnd|\drd|\dth)\s?[-–]\s?(?=\d+(?:st|nd|rd|th)\b)", " to "),
    rule(
        r"(?<![\w.-])(?P<year>[12]\d{3})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})"
        r"(?![\w-]|\.\d)",
        _iso_date,
    ),
    rule(
        r"\b(?P<year>[12]\d{3})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>[01]\d|2[0-3]):"
        r"(?P<minute>[0-5]\d)(?::[0-5]\d(?:\.\d+)?)?(?P<zone>Z)?",
        _timestamp,
    ),
    rule(r"\b(1,?000|100|10)s(?= of\b)", _round_numbers),
    rule(
        r"(?<![\w.-])(\d{1,2})([/.-])(\d{1,2})\2([12]\d{3}|(?<=/)\d{2})(?![\w/-]|\.\d)",
        _slashed_date,
    ),
    rule(
        rf"\b(?P<month>{_MONTH})\.?\s(?P<day>{_DAY_NUMBER})(?![\w:]|[.,]\d)"
        rf"(?:{_DASH}(?P<last>{_DAY_NUMBER})(?!\w))?(?:,?\s(?P<year>{_YEAR}))?",
        _month_and_day,
    ),
    rule(
        rf"(?<![\w.,:$])(?P<day>{_DAY_NUMBER})(?:{_DASH}(?P<last>{_DAY_NUMBER}))?\s(?:of\s)?"
        rf"(?P<month>{_MONTH})\b\.?(?:,?\s(?P<year>{_YEAR}))?",
        _day_and_month,
    ),
    rule(rf"\b(?P<month>{_MONTH})\.?,?\s(?P<year>{_YEAR})", _month_and_year),
    rule(r"\b(FY|CY)\s?['’]?([12]\d{3}|\d\d)(?:[-–/](\d\d))?(?![\w-]|[.,]\d)", _business_year),
    rule(rf"(?:(?<=\d)|(?<=\d[snrt][tdh]))({_DASH})(?=(?:{_MONTH})\.?\s\d)", lambda _: " to "),
    rule(rf"\b({_DAY})\.?({_DASH})({_DAY})\b\.?", _weekdays),
    rule(rf"\b({_PLAIN_DAY})\b{_OTHER_NAME}(?:\.(?=,|\s[a-z\d]))?", lambda m: _weekday(m[1])),
    rule(rf"\b({_WORD_LIKE_DAY})(?={_JOINT}(?:{_DAY})\b)", lambda m: _weekday(m[1])),
    rule(
        rf"(?:(?<=[a-z]day)|(?<=Mon|Tue|Wed|Thu|Fri|Sat|Sun)|(?<=ues|urs))({_JOINT})"
        rf"({_WORD_LIKE_DAY})\b",
        lambda m: [(m[1], m.span(1)), (_weekday(m[2]), m.span(2))],
    ),
    rule(
        r"(?:(?<=\bon )|(?<=\bby )(?!Thu)|(?<=very |each |ntil |next |osed |this |last )"
        r"|(?<=[Ss]ee you )|(?=[A-Z][a-z]{2}: (?:open|closed)\b))"
        rf"({_WORD_LIKE_DAY})\b{_OTHER_NAME}{_NO_NAME}(?:\.(?=,|\s[a-z\d]))?",
        lambda m: _weekday(m[1]),
    ),
    rule(rf"\b({_SHORT_MONTH})\b(?={_JOINT}(?:{_MONTH})\b)", lambda m: _month(m[1])),
    rule(
        rf"(?<=Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|ept|Oct|Nov|Dec)({_JOINT})({_SHORT_MONTH})\b",
        _next_month,
    ),
    rule(
        r"(?:(?<=\bin )|(?<=mid-)|(?<=early )|(?<=(?<!the )late )|(?<=\bthis |\bnext |\blast )"
        r"|(?:(?<=\bof |\bby )|(?<=since |until )|(?<=\bfrom ))(?!Jan|Jun)"
        r"|(?<=\bend of )|(?<=start of )|(?<=nning of ))"
        rf"({_SHORT_MONTH})\b(?:\.(?=[ ,]))?{_OTHER_NAME}{_NO_NAME}",
        lambda m: _month(m[1]),
    ),
    rule(rf"\b({_DAY})(?=[,:]? (?:{_MONTH})\b|[,:]? \d)", lambda match: _weekday(match[1])),
    replace(r"(?<=0s)\s?[-–]\s?(?=['’‘]?\d)", " to "),
    rule(r"(?<![\w.,$])(?P<century>1\d|20)(?P<tens>\d0)['’]?s\b", _decade),
    rule(r"(?<![\w.,$])['’‘]?(?P<century>)(?P<tens>[2-9]0)['’]?s\b", _decade),
    rule(r"(?<![\w.,])(\d{1,4}(?:,\d{3})?)\s?(B\.?C\.?E?\.?|A\.?D\.?|C\.?E\.?)(?!\w)", _era),
)

YEARS = (
    rule(r"(?<!\w)['’]0(\d)(?![\w'’])", lambda match: f"oh {numerals.english_digits(match[1])}"),
    rule(rf"{UNSIGNED}((?:19|20)\d\d)([-/])(0[1-9])(?![\w/-]|[.,]\d)", _month_of_year),
    rule(rf"{UNSIGNED}(1\d{{3}}|20\d\d)(\s?[-–—]\s?|/)(\d{{4}}|\d{{2}})(?![\w-]|[.,]\d)", _years),
    rule(
        r"(?:(?<![\w.,$€£¥+*/=-])|(?<=\bpre-|\bmid-)|(?<=\bpost-))(?:1\d|20)\d\d(?![\w-]|[.,]\d|\s?[*/=+])",
        _plain_year,
    ),
)
