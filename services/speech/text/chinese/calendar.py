"""Dates, years and decades."""

import re

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span, rule
from services.speech.text.chinese.numbers import ALONE, TO, before, behind, digits, number

_RANGE = r"\s?[-–—−~～]{1,2}\s?"
_DURATION = re.compile(r"(?:的)?(?:历史|前|来|以[上前后来内]|间隔|寿命|之久|时间|期)|多|余")


def _date(match: re.Match[str]) -> Reading | None:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return [
        *digits(match.string, match.span("year")),
        ("年", (match.end("year"), match.start("month"))),
        (numerals.chinese(month), match.span("month")),
        ("月", (match.end("month"), match.start("day"))),
        (f"{numerals.chinese(day)}日", match.span("day")),
    ]


def _american_date(match: re.Match[str]) -> str | None:
    """Read the month first, unless it is invalid."""
    month, day = int(match["first"]), int(match["second"])
    if month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    year = numerals.chinese_digits(match["year"])
    return f"{year}年{numerals.chinese(month)}月{numerals.chinese(day)}日"


def _year(match: re.Match[str]) -> Reading | None:
    year = int(match[1])
    is_long = _DURATION.match(behind(match)) is not None and not 1800 < year < 2100
    if (
        is_long
        or not (1000 <= year < 2200)
        or (_DURATION.match(behind(match)) and year % 1000 == 0)
    ):
        return None
    return [*digits(match.string, match.span(1)), *_rest(match, 1)]


def _short_year(match: re.Match[str]) -> Reading | None:
    if _DURATION.match(behind(match)) or not (match[1][0] == "0" or int(match[1]) >= 70):
        return None
    return [*digits(match.string, match.span(1)), *_rest(match, 1)]


def _year_of_era(match: re.Match[str]) -> Reading:
    return [*digits(match.string, match.span(1)), *_rest(match, 1)]


def _year_of_month(match: re.Match[str]) -> Reading:
    return [*digits(match.string, match.span(1)), *_rest(match, 1)]


def _one_by_one(match: re.Match[str]) -> Reading:
    return digits(match.string, match.span())


def _named_day(match: re.Match[str]) -> str:
    if re.fullmatch(r"10\D1", match[0]):  # The national day is said as 十一.
        return "十一"
    if match[0] not in _HOLIDAYS and re.match("放假|假期", behind(match)):
        month, day = (numerals.chinese(int(each)) for each in re.split("[·.]", match[0]))
        return f"{month}月{day}日"
    return numerals.chinese_digits(re.sub("[·.]", "", match[0]))


def _rest(match: re.Match[str], group: int) -> Reading:
    """Return the rest of a match after a group, unchanged."""
    start, end = match.end(group), match.end()
    return [(match.string[start:end].strip(), (start, end))] if start < end else []


def _years(match: re.Match[str]) -> Reading | None:
    first, last = int(match[1]), int(match[3])
    if not 1000 <= first < last < 2200:
        return None
    is_round = first < 1900 and first % 50 == last % 50 == 0
    if not _YEAR_IS_SAID.match(behind(match)) and (is_round or last - first >= _LONGEST_LIFE):
        return _counts(match) if is_round else None
    return [
        *digits(match.string, match.span(1)),
        ("到", match.span(2)),
        *digits(match.string, match.span(3)),
    ]


def _counts(match: re.Match[str]) -> Reading:
    return [
        (number(match[1]), match.span(1)),
        ("到", match.span(2)),
        (number(match[3]), match.span(3)),
    ]


def _reign(match: re.Match[str]) -> Reading | None:
    first, last = int(match[2]), int(match[4])
    if behind(match, 1) != "年" and first < 1000 and first % 50 == last % 50 == 0:
        return None
    return [
        (match[1], match.span(1)),
        *digits(match.string, match.span(2)),
        ("到", match.span(3)),
        *digits(match.string, match.span(4)),
    ]


def _season(match: re.Match[str]) -> Reading:
    return [
        *digits(match.string, match.span(1)),
        ("到", match.span(2)),
        *digits(match.string, match.span(3)),
    ]


def _decade(match: re.Match[str]) -> Reading:
    return [*digits(match.string, match.span(1)), ("年代", (match.end(1), match.end()))]


def _to(match: re.Match[str]) -> str:
    return "到"


def _day(match: re.Match[str]) -> Reading:
    said: list[tuple[str, Span]] = [(numerals.chinese(int(match[1])), match.span(1))]
    if match[2]:
        said.append(("到", match.span(2)))
        said.append((numerals.chinese(int(match[3])), match.span(3)))
    return said


_HOLIDAYS = frozenset(("3.8", "5.1", "5.4", "6.1"))
"""The days that are named by their digits: 五一."""
_LONGEST_LIFE = 130
"""In years: numbers that are further apart, or as round as prices, count something else."""
_YEAR_IS_SAID = re.compile("年|学年|赛季|财年")
_DATED = re.compile("[号日月休假展]|活动|期间|营业|开放|停业|入住|出差|国庆|春节")
_MEASURED = re.compile(r"\s?(?:英?寸|英里|[杯勺磅圈]|[茶汤]匙)")


def _days(match: re.Match[str]) -> Reading | None:
    """Read a range of days: 10/1-10/7, 10.1-10.7放假."""
    days = [(int(match[at]), int(match[at + 1])) for at in (1, 4)]
    if not all(1 <= month <= 12 and 1 <= day <= 31 for month, day in days):
        return None
    is_dated = _DATED.search(before(match)[-8:] + "|" + behind(match, 6)) is not None
    is_over_new_year = is_dated and days[0][0] == 12 and days[1][0] == 1
    if not (days[0] < days[1] or is_over_new_year) or _MEASURED.match(behind(match)):
        return None
    if not is_dated and all(above < below <= 10 for above, below in days):  # Fractions.
        return None
    first, last = (f"{numerals.chinese(month)}月{numerals.chinese(day)}日" for month, day in days)
    return [
        (first, (match.start(), match.end(2))),
        ("到", match.span(3)),
        (last, (match.start(4), match.end())),
    ]


RULES = (
    rule(rf"{ALONE}(\d{{1,2}})/(\d{{1,2}})({TO})(\d{{1,2}})/(\d{{1,2}})(?![\d/]|\.\d)", _days),
    rule(
        rf"{ALONE}(\d{{1,2}})\.(\d{{1,2}})({TO})(\d{{1,2}})\.(\d{{1,2}})"
        r"(?=\s?(?:放假|休[假息]|期间|活动|假期|停[业运]))",
        _days,
    ),
    rule(r"(?<=\d[秒米])\d\d(?![\d.]|\s?[厘毫分米cm])", _one_by_one),
    rule(
        rf"{ALONE}(?P<year>[12]\d{{3}})(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})"
        r"(?![A-Za-z0-9-]|\.\d)日?",
        _date,
    ),
    rule(
        rf"{ALONE}(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark)(?P<year>(?:19|20)\d\d)"
        r"(?![A-Za-z0-9-]|\.\d)",
        _american_date,
    ),
    rule(
        rf"{ALONE}(\d{{4}})({_RANGE}|至|到)(\d{{4}})(?!\d)(?=年|学年|赛季|财年|\)|）|，|。|$)",
        _years,
    ),
    rule(rf"{ALONE}((?:19|20)\d\d)([/-])(\d\d)(?=\s?(?:赛季|学年|财年|年度))", _season),
    rule(r"(?<=《)\d{3,4}(?=》)", _one_by_one),
    rule(
        rf"(?:(?<=[代朝唐宋])|(?<=时期|世纪|复兴)|(?<=国)(?=.[^)）]{{6,14}}年))([（(])(\d{{3,4}})({_RANGE})(\d{{3,4}})(?=年?[)）])",
        _reign,
    ),
    rule(rf"{ALONE}(\d{{4}})(?:\s?s(?![A-Za-z])|\s?年代)", _decade),
    rule(r"(?:(?<=公元)|(?<=公元前)|(?<=前))(\d{3,4})\s?年", _year_of_era),
    rule(rf"{ALONE}(\d{{4}})\s?年(?!级)", _year),
    rule(
        rf"{ALONE}(?:19|20)\d\d(?=[届级款版春夏秋冬]|新年|奥运|世界杯|欧洲杯|亚运|赛季|财年|学年)",
        _one_by_one,
    ),
    rule(rf"{ALONE}(\d{{2}})\s?年(?=\d{{1,2}}月)", _year_of_month),
    rule(rf"{ALONE}(\d{{2}})\s?年(?!级|代)", _short_year),
    rule(rf"{ALONE}(\d0)(?=后(?![来天面方]))", _one_by_one),
    rule(
        rf"{ALONE}(?:1[0-2]|0?[1-9])(?:·|\.(?=\d\d?(?:晚会|消费者|行动|事件|特惠|放假|假期|黄金周|长假|节(?![能电约])|儿童节|劳动节|妇女节|国庆)))(?:3[01]|[12]\d|0?[1-9])(?!\d)",
        _named_day,
    ),
    rule(rf"{ALONE}(\d{{1,2}})(?:({_RANGE})(\d{{1,2}}))?(?=\s?[月日号](?![楼线门]))", _day),
    rule(rf"(?<=[日月号点分半年])({_RANGE})(?=\d|[一-龥])", _to),
    rule(r"(?:(?<=[周期]一)|(?<=[周期][二三四五六日天]))(\s?[-–—~～]{1,2}\s?)(?=[周星])", _to),
    rule(r"(?<=[一二三四五六七八九十]月)(\s?[-–—~～]{1,2}\s?)(?=[一二三四五六七八九十])", _to),
)
