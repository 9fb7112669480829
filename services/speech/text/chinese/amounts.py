"""Amounts of money."""

import re
from decimal import Decimal

from services.speech.text import numerals
from services.speech.text.alignment import Reading, rule
from services.speech.text.chinese.numbers import (
    ALONE,
    MINUS,
    SCALE,
    TO,
    before,
    behind,
    count,
    number,
)
from services.speech.text.expressions import NUMBER

_SIGNS = {
    "US$": "美元", "HK$": "港元", "NT$": "新台币", "AU$": "澳元", "A$": "澳元", "CA$": "加元",
    "C$": "加元", "NZ$": "新西兰元", "S$": "新加坡元", "SG$": "新加坡元", "$": "美元", "€": "欧元",
    "£": "英镑", "JP¥": "日元", "CN¥": "元", "RMB¥": "元", "¥": "元", "￥": "元", "₩": "韩元",
    "₹": "卢比", "₽": "卢布", "฿": "泰铢",
    "R$": "雷亚尔", "₫": "越南盾", "₺": "里拉", "₱": "比索", "₴": "格里夫纳", "₪": "谢克尔",
    "zł": "兹罗提", "RM": "令吉", "MOP$": "澳门元", "USD$": "美元",
}  # fmt: skip
_CODES = {
    "USD": "美元", "HKD": "港元", "TWD": "新台币", "AUD": "澳元", "CAD": "加元", "NZD": "新西兰元",
    "SGD": "新加坡元", "EUR": "欧元", "GBP": "英镑", "CNY": "元人民币", "RMB": "元人民币",
    "JPY": "日元", "KRW": "韩元", "INR": "卢比", "CHF": "瑞士法郎", "RUB": "卢布", "THB": "泰铢",
    "BRL": "雷亚尔", "TRY": "里拉", "VND": "越南盾", "PHP": "比索", "MXN": "比索", "MYR": "令吉",
    "SEK": "瑞典克朗", "NOK": "挪威克朗", "DKK": "丹麦克朗", "AED": "迪拉姆", "MOP": "澳门元",
}  # fmt: skip
_ENGLISH_SCALES = {
    "k": 10**3, "thousand": 10**3, "m": 10**6, "mn": 10**6, "million": 10**6, "b": 10**9,
    "w": 10**4, "bn": 10**9, "billion": 10**9, "t": 10**12, "tn": 10**12, "trillion": 10**12,
}  # fmt: skip
_ENGLISH_SCALE = r"\s?(?:thousand|million|billion|trillion|[kKwW]|[mM]n?|[bB]n?|[tT]n?)(?![A-Za-z])"
_SIGN = "|".join(map(re.escape, sorted(_SIGNS, key=len, reverse=True)))
_CODE = "|".join(_CODES)


def _amount(match: re.Match[str]) -> str:
    name = _SIGNS[match["sign"]] if match["sign"] else _CODES[match["code"]]
    first, last, scale = match["first"], match["last"], (match["scale"] or "").strip()
    said = _scaled(first, scale if not last else "")
    if last:
        said = f"{said}到{_scaled(last, scale)}"
    is_negative = match["minus"] or match.groupdict().get("inner_minus")
    return f"{'负' if is_negative else ''}{said}{name}"


def _scaled(written: str, scale: str) -> str:
    factor = _ENGLISH_SCALES.get(scale.lower())
    if factor is None:
        return count(_without_zeros(written), scale)
    value = Decimal(written.replace(",", "")) * factor
    if value % 10_000 == 0 and value < numerals.LARGEST:
        return count(str(int(value)))
    return count(str(int(value))) if value == int(value) else number(str(value.normalize()))


def _ten_thousands_or_watts(match: re.Match[str]) -> str | None:
    """Read w as 万 where people abbreviate it, as 瓦 of what has power: 粉丝2w, 10W+, 65w快充."""
    said, rest = count(match[1]), behind(match)
    if _POWER.search(before(match)) or (
        _POWERED.match(rest) and not _COUNTED_BEFORE.search(before(match))
    ):
        return f"{said}瓦{'以上' if match[3] else ''}"
    is_counted = match[3] or _COUNTED_BEFORE.search(before(match))
    if is_counted or (match[2] == "w" and _COUNTED_BEHIND.match(rest)):
        return f"{said}万{'以上' if match[3] else ''}"
    return None


def _each(match: re.Match[str]) -> str | None:
    return "每" if _PRICED.search(before(match)) else None


def _thousands(match: re.Match[str]) -> Reading:
    """Read a range of thousands: 8k-12k."""
    return [
        (_scaled(match[1], "k"), (match.start(), match.start(2))),
        ("到", match.span(2)),
        (_scaled(match[3], "k"), (match.end(2), match.end())),
    ]


def _without_zeros(written: str) -> str:
    """Return an amount without the zeros at the end of its decimals."""
    return re.sub(r"\.?0+$", "", written) if "." in written else written


_AMOUNT = (
    rf"(?P<first>{NUMBER})(?:{TO}(?:{_SIGN})?(?P<last>{NUMBER}))?"
    rf"(?P<scale>{_ENGLISH_SCALE}|{SCALE})?"
)
_POWER = re.compile(r"(?:功率|瓦数|功耗|快充|闪充)[^，。,\d]{0,5}$")
_POWERED = re.compile(
    r"\s?(?:以上)?的?\s?(?:(?:超级|双向|有线)?[快闪]充|充(?![值足满实分])|灯|大?功率|音[箱响]|电(?![影商台话费])"
    "|适配|无线|搅拌机|榨汁机|破壁机|吹风机|风扇|烤箱|微波炉|马达|显卡|热水|加热|太阳能|光伏"
    "|激光|功放|喇叭|氮化镓|取暖|空调|吸尘器|洗衣机|冰箱|LED)"
)
_COUNTED_BEFORE = re.compile(
    "(?:粉丝|播放|阅读|点赞|浏览|转发|收藏|销量|销售额|票房|观看|[年月]薪|[薪工]资|[年月收投]入|存款|贷款|预算"
    "|[售房车总标底]价|价格|首付|奖金|身价|赚|[入算资薪价款])[^，。,0-9]{0,3}$"
)
_COUNTED_BEHIND = re.compile(
    r"\s?(?:多?[元块粉赞字]|多?人(?![工造])|次|播放|阅读|点赞|浏览|用户|公里|彩礼|年薪)"
)
"""What w is a watt of, and what it is 万 of."""

_MEASURE = (
    "(?:小时|分钟|[公千]?[斤里米克]|公顷|平方[千公]?[米里]|平米|立方米?|人次|个?月|季度?|学期|课时"
    "|[个人天年次晚位件份张分时平吨升瓶盒本秒片粒颗支枚包袋杯箱批桌亩顿周])"
)
_PRICED = re.compile(
    r"(?:\d\s?[万千百亿]?(?:[a-zA-Z]{1,4}|[元块角分次个粒片克吨升米斤件份张本瓶盒袋包杯人位字步页条枚支台公里千毫卡"
    rf"度转圈万]{{0,3}})|[元块钱币镑]|[$€£¥￥])(?:/{_MEASURE})?$"
)
"""A number or a currency, before a measure."""
_IS_LAST = "(?![一-龥])|(?=[的起左以计算收不就还或及与和为是优限送也都才])"
"""A longer word does not begin here: 分, not 分期."""

RULES = (
    rule(
        rf"{ALONE}({NUMBER})(\s?(?:thousand|million|billion|trillion))(?![A-Za-z])",
        lambda match: _scaled(match[1], match[2].strip()),
    ),
    rule(
        rf"(?<![A-Za-z0-9.])(?P<minus>{MINUS}\s?)?(?:(?P<sign>{_SIGN})|(?P<code>{_CODE}))\s?"
        rf"(?P<inner_minus>{MINUS})?{_AMOUNT}"
        r"(?:\s?(?:美元|元|块钱?|欧元|英镑|港[元币]|日元|圆))?",
        _amount,
    ),
    rule(
        rf"{ALONE}(?P<minus>{MINUS})?{_AMOUNT}\s?(?:(?P<sign>[€£$¥￥])(?!\s?\d)|(?P<code>{_CODE}))(?![A-Za-z])",
        _amount,
    ),
    rule(
        rf"{ALONE}(?P<minus>{MINUS})?({NUMBER})(?:({TO})({NUMBER}))?({SCALE}?)\s?"
        r"(?=[余多]?(?:元|块|美元|欧元|英镑|港[元币]|日元|韩元|角|分钱|毛))",
        lambda match: (
            ("负" if match["minus"] else "")
            + (f"{count(_without_zeros(match[2]))}到" if match[4] else "")
            + count(_without_zeros(match[4] or match[2]), match[5])
        ),
    ),
    rule(rf"{ALONE}({NUMBER})\s?円", lambda match: f"{count(match[1])}日元"),
    rule(rf"{ALONE}({NUMBER})([wW])(\+)?(?![A-Za-z0-9])", _ten_thousands_or_watts),
    rule(rf"{ALONE}({NUMBER})[kK]({TO})({NUMBER})[kK](?![A-Za-z0-9])", _thousands),
    rule(rf"/(?={_MEASURE}(?:{_IS_LAST}))", _each),
)
