"""Times of day, durations and time zones."""

import re

from services.speech.text import numerals
from services.speech.text.alignment import Reading, Span, replace, rule
from services.speech.text.chinese.numbers import ALONE, before, behind

_NOT_A_TIME = re.compile(r"(?:比例|比分|比率|赔率|比(?![赛较如])|配比|比值)[^。]{0,6}$")
_OF_A_MATCH = re.compile(r"比赛[^。]{0,10}$")
"""What a time follows as often as a score does; these tell which of them it is:"""
_SCORED = re.compile(
    r"(?:结果|最终|终场|总分|得分|(?<!:\d\d)打[成出到了平]|战成|领先|落后"
    r"|(?:第[^。，]{1,2}|首|末|决胜)[局节盘]|(?<![所可])以(?![前后及])|赢(?!家)|输(?![入家])"
    r"|胜(?![出者负])|负(?![责者]))[^。，]{0,6}(?<![在于后])$"
)
_WON = re.compile(
    r"(?:，?(?:[我你他她]们|[主客]队))?的?(?:战?平(?![台常时])|[险大完获取战]?胜(?!利)|赢|击败"
    "|领先|落[后败]|告负|输(?!入)|负于|拿下|比分)"
)
_BY = re.compile(r"(?<![所可])以$")
_STARTED = re.compile(
    r"[开播前后才]|公布|揭晓|结束|举行|进行|左右|准时|为准|\s?[-–—~～至到]\s?\d+[:：]"
)
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
_AM_PM = r"(?:\s?(?P<half>[aApP])\.?\s?[mM]\b\.?)"


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


RULES = (
    rule(r"(?<![\dh])(\d{1,2})h(\d{1,2})m(?:in)?(?![A-Za-z0-9])", _hours_and_minutes),
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
    replace(r"(?<=:\d\d)\s?[-–—−~～]{1,2}\s?(?=\d)", "到"),
)
