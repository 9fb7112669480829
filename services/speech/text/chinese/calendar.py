"""Dates, years, decades and times of day."""

import re

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span, rule
from services.speech.text.chinese.numbers import ALONE, TO, before, behind, digits, number

_RANGE = r"\s?[-–—−~～]{1,2}\s?"
_DURATION = re.compile(r"(?:的)?(?:历史|前|来|以[上前后来内]|间隔|寿命|之久|时间|期)|多|余")
_NOT_A_TIME = re.compile(r"(?:比例|比分|比率|赔率|比(?![赛较如])|配比|比值)[^。]{0,6}$")
_OF_A_MATCH = re.compile(r"比赛[^。]{0,10}$")
_SCORED = re.compile(
    r"(?:结果|最终|终场|总分|得分|(?<!:\d\d)打[成出到了平]|战成|领先|落后"
    r"|(?:第[^。，]{1,2}|首|末|决胜)[局节盘]|(?<![所可])以(?![前后及])|赢(?!家)|输(?![入家])"
    r"|胜(?![出者负])|负(?![责者]))[^。，]{0,6}(?<![在于后])$"
)
_WON = re.compile(
    r"(?:，?(?:[我你他她]们|[主客]队))?的?(?:战?平(?![台常时])|[险大完获取战]?胜(?!利)|赢|击败|领先|落[后败]|告负|输(?!入)|负于|拿下|比分)"
)
_BY = re.compile(r"(?<![所可])以$")
_STARTED = re.compile("[开播前后才]|公布|揭晓|结束|举行|进行|左右|准时|为准")
_LASTING = re.compile(
    r"(?:成绩|(?<!使)用时|耗时|历时|时长|全长|片长|纪录(?!片)|跑出|完赛)"
    r"(?:时间)?(?:[是为达约了出仅:：]|(?:提高|刷新|缩短|改写|定格)[到至成为在了]){0,3}\s?$"
)
"""What takes the hours, minutes and seconds that follow."""
_STOPPED = re.compile(
    r"(?:[跑游]了|(?:(?:第\s?[一二三四五1-5]|本|这|末|决胜|最后一)[节局](?!课)|半场|终场|比赛|加时赛?)"
    r"[^。]{0,5}(?:还剩|剩余))$"
)
"""What takes the minutes and seconds that follow."""
_DAY_HALVES = {"a": "上午", "p": "下午"}
_HALF_IS_SAID = re.compile(r"(?:上午|下午|早上|晚上|凌晨|中午|清晨|傍晚|早|晚)\s?$")


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
    if not _YEAR_IS_SAID.match(behind(match)) and (is_round or last - first > _LONGEST_LIFE):
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


def _is_score(match: re.Match[str]) -> bool:
    context = before(match)
    is_won = _WON.match(behind(match))
    is_by = _BY.search(context) and not behind(match).startswith("为准")
    if _HALF_IS_SAID.search(context) or (_STARTED.match(behind(match)) and not is_by):
        return False
    of_a_match = _OF_A_MATCH.search(context)
    is_scored = of_a_match and (is_won or _SCORED.search(of_a_match[0]))
    return bool(is_scored or (is_won and is_by))


def _time(match: re.Match[str]) -> Reading | None:
    if _is_score(match) or _NOT_A_TIME.search(before(match)):
        return None
    hour, minute, second = match["hour"], match["minute"], match["second"]
    is_lasting = _LASTING.search(before(match)) and behind(match, 1) != "起"
    if second and not match["half"] and is_lasting:
        return _lasting(match)
    if not second and not match["half"] and _STOPPED.search(before(match)):
        return _minutes_and_seconds(match)
    said: list[tuple[str, Span]] = []
    half = (match["half"] or "").lower()
    lead = "" if _HALF_IS_SAID.search(before(match)) else _half(half, int(hour))
    said.append((f"{lead}{_hour(int(hour))}点", match.span("hour")))
    end = match.end("hour")
    if int(minute) or second:
        said.append((f"{_padded(int(minute))}分", (end, match.end("minute"))))
        end = match.end("minute")
    if second:
        said.append((f"{_padded(int(second))}秒", (end, match.end("second"))))
        end = match.end("second")
    last, (start, _) = said[-1]
    return [*said[:-1], (last, (start, match.end()))]


def _lasting(match: re.Match[str]) -> Reading:
    hour, minute = int(match["hour"]), int(match["minute"])
    said: list[tuple[str, Span]] = []
    if hour:
        said.append((f"{_hour(hour)}小时", match.span("hour")))
    minutes = _padded(minute) if hour else _hour(minute)
    said.append(
        (f"{minutes}分", (match.end("hour") if hour else match.start(), match.end("minute")))
    )
    return [*said, (f"{_padded(int(match['second']))}秒", (match.end("minute"), match.end()))]


def _minutes_and_seconds(match: re.Match[str]) -> Reading:
    return [
        (f"{_hour(int(match['hour']))}分", match.span("hour")),
        (f"{_padded(int(match['minute']))}秒", (match.end("hour"), match.end())),
    ]


def _half(half: str, hour: int) -> str:
    if hour == 12:
        return {"a": "凌晨", "p": "中午"}.get(half, "")
    return _DAY_HALVES.get(half, "")


def _hour(hour: int) -> str:
    return "两" if hour == 2 else numerals.chinese(hour)


def _padded(value: int) -> str:
    return f"{'零' if 0 < value < 10 else ''}{numerals.chinese(value)}"


def _hours_and_minutes(match: re.Match[str]) -> Reading:
    hours = f"{_hour(int(match[1]))}小时"
    return [
        (hours, (match.start(), match.end(1) + 1)),
        (f"{numerals.chinese(int(match[2]))}分钟", (match.end(1) + 1, match.end())),
    ]


def _half_day(match: re.Match[str]) -> str:
    hour = int(match["hour"])
    is_said = _HALF_IS_SAID.search(before(match))
    return f"{'' if is_said else _half(match['half'].lower(), hour)}{_hour(hour)}点"


def _zone(match: re.Match[str]) -> str:
    return f"{'加' if match[1] == '+' else '减'}{numerals.chinese(int(match[2]))}"


def _to(match: re.Match[str]) -> str:
    return "到"


def _day(match: re.Match[str]) -> Reading:
    said: list[tuple[str, Span]] = [(numerals.chinese(int(match[1])), match.span(1))]
    if match[2]:
        said.append(("到", match.span(2)))
        said.append((numerals.chinese(int(match[3])), match.span(3)))
    return said


_AM_PM = r"(?:\s?(?P<half>[aApP])\.?\s?[mM]\b\.?)"


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
    rule(r"(?<![\dh])(\d{1,2})h(\d{1,2})m(?:in)?(?![A-Za-z0-9])", _hours_and_minutes),
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
    rule(
        r"(?<![A-Za-z0-9.,])(?<!\d[:：])(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d)(?:[:：](?P<second>[0-5]\d))?"
        rf"(?:{_AM_PM}|(?![A-Za-z0-9:：]|[.,]\d))(?:分(?![钟之]))?",
        _time,
    ),
    rule(rf"{ALONE}(?P<hour>\d{{1,2}}){_AM_PM}", _half_day),
    rule(
        rf"{ALONE}(?P<two>2)(?=\s?点(?:\d{{1,2}}分|[一三]刻|(?!\d|[零一二三四五六七八九])))",
        lambda _: "两",
    ),
    rule(r"(?<=UTC|GMT)([+−-])(\d{1,2})(?!\d)", _zone),
    rule(rf"(?<=[日月号点分半年])({_RANGE})(?=\d|[一-龥])", _to),
    rule(r"(?:(?<=[周期]一)|(?<=[周期][二三四五六日天]))(\s?[-–—~～]{1,2}\s?)(?=[周星])", _to),
    rule(rf"(?<=:\d\d)({_RANGE})(?=\d)", _to),
    rule(r"(?<=[一二三四五六七八九十]月)(\s?[-–—~～]{1,2}\s?)(?=[一二三四五六七八九十])", _to),
)
