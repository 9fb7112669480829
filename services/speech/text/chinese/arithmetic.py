"""Plain numbers and how they combine: expressions, fractions, ratios, ranges."""

import re
import unicodedata
from fractions import Fraction

from services.speech.text import numerals
from services.speech.text.alignment import Reading, replace, rule
from services.speech.text.chinese.numbers import ALONE, TO, before, behind, number
from services.speech.text.expressions import (
    EXPRESSION,
    GREEK,
    NUMBER,
    SUPERSCRIPT,
    ExpressionReader,
    read_series,
    read_symbol,
    subscript,
)

_SIGNS = {
    "*": "乘", "×": "乘", "·": "乘", "÷": "除以", "/": "除以", "+": "加", "-": "减", "−": "减",
    "–": "减", "=": "等于", "==": "等于", "≠": "不等于", "!=": "不等于", "≈": "约等于",
    "≤": "小于等于", "<=": "小于等于", "≥": "大于等于", ">=": "大于等于", "<": "小于", ">": "大于",
    "±": "正负", "√": "根号", "π": "派",
}  # fmt: skip
_POWERS = {"2": "的平方", "3": "的立方"}
_SYMBOLS = {
    "∈": "属于", "∉": "不属于", "⊂": "包含于", "⊆": "包含于", "∪": "并", "∩": "交", "∅": "空集",
    "∑": "求和", "∏": "求积", "∫": "积分", "∂": "偏", "∀": "任意", "∃": "存在", "∝": "正比于",
    "≡": "恒等于", "∴": "所以", "∵": "因为", "∠": "角", "⊥": "垂直于", "⟂": "垂直于", "∥": "平行于",
}  # fmt: skip
_SCORE = re.compile(
    r"(?:比分|局分|点球|[上下]半场|[首次]回合|加时赛?|得分|战胜|击败|击溃|大胜|险胜|胜|负|赢|输|逆转|打平|战平|平|领先|落后|以)[^。，]{0,4}(?:\d+[-:]\d+、){0,6}$"
)
_WON = re.compile("险胜|获胜|取胜|大胜|战胜|击败|逆转|领先|战平|落败|告负")


_ODDS = re.compile(r"(?:赔率|比)[^。，]{0,3}$")
_COUNTED = re.compile(r"[分步第页题关][^。，]{0,4}$")
"""What is counted up to its last: 评分50/50."""
_DUE = re.compile("(?:有效期|保质期|到期)日?[至到为是于:：]$|(?:截止|截至|日期)[至到为是于:：]?$")


def _power(exponent: str) -> str:
    return f"的{exponent}次方"


def _fraction(numerator: int, denominator: int) -> str:
    return f"{numerals.chinese(denominator)}分之{numerals.chinese(numerator)}"


def _written_fraction(match: re.Match[str]) -> str:
    above, below = int(match[2]), int(match[3])
    if 1 <= above <= 12 and 1 <= below <= 31 and _DUE.search(before(match)) and not match[1]:
        return f"{number(match[2])}月{number(match[3])}日"
    if not match[1] and above >= below:  # Odds, or a blood pressure.
        is_even = above == 50 and not _COUNTED.search(before(match))
        if above == below and (is_even or (above == 1 and _ODDS.search(before(match)))):
            return f"{number(match[2])}比{number(match[3])}"
        if below >= 40:
            return f"{number(match[2])}，{number(match[3])}"
    whole = f"{number(match[1].strip())}又" if match[1] else ""
    return whole + _fraction(int(match[2]), int(match[3]))


def _blood_pressure(match: re.Match[str]) -> Reading:
    return [
        (f"{number(match[1])}，", (match.start(), match.start(2))),
        (number(match[2]), match.span(2)),
    ]


def _vulgar(match: re.Match[str]) -> str:
    value = Fraction(unicodedata.numeric(match[2])).limit_denominator(100)
    whole = f"{number(match[1].strip())}又" if match[1] else ""
    return whole + _fraction(*value.as_integer_ratio())


def _pair(match: re.Match[str], between: str) -> Reading:
    return [
        (number(match[1]), match.span(1)),
        (between, match.span(2)),
        (number(match[3]), match.span(3)),
    ]


def _numbered_figure(match: re.Match[str]) -> Reading:
    return [
        (number(match[1].strip()), match.span(1)),
        ("杠", match.span(2)),
        (number(match[3]), match.span(3)),
    ]


def _range(match: re.Match[str]) -> Reading:
    return _pair(match, "比" if _is_score(match) else "到")


def _is_score(match: re.Match[str]) -> bool:
    return bool(_SCORE.search(before(match)) or _WON.match(behind(match)))


def _difference(match: re.Match[str]) -> Reading | None:
    first, last = (float(match[at].replace(",", "")) for at in (1, 3))
    return _pair(match, "减") if first > last else None


def _minus(match: re.Match[str]) -> str:
    return "零下" if re.match(r"\d+(?:\.\d+)?\s?度", behind(match)) else "负"


def _scientific(match: re.Match[str]) -> str:
    sign = "负" if match[2] == "-" else ""
    return f"{number(match[1])}乘十的{sign}{number(match[3])}次方"


def _leading(match: re.Match[str]) -> Reading:
    return [(number(match[1]), match.span(1)), ("。", match.span(2))]


_SERIES = "歼轰运直教风征舟宫娥旗击浪苏图格音客"
"""The last characters of series names that are hyphenated with a number: 歼-20, 长征-5."""

_UNITS = (
    "[元块万个人位名篇条张次本度年月日天号周小秒米公斤克吨升寸岁层页]"
    "|[%％℃°只台件份套种款点级倍折班]|分(?!别)"
)
"""What a range is of, and the number of a figure is not: 代表10-20人."""

_EXPRESSIONS = ExpressionReader(
    signs=_SIGNS,
    number=number,
    fraction=_fraction,
    squares=_POWERS,
    power=_power,
    space="",
    negative="负",
)

EXPRESSIONS = (
    rule(rf"{ALONE}(\d{{2,3}})/(\d{{2,3}})(?=\s?mmHg)", _blood_pressure),
    rule(r"(?<![A-Za-z0-9.,])24/7(?![\d/])", lambda _: "二十四小时七天"),
    rule(EXPRESSION, _EXPRESSIONS.read),
    rule(rf"{ALONE}({NUMBER})[eE]([+-]?)(\d{{1,3}})(?![A-Za-z0-9])", _scientific),
)
RULES = (
    rule(rf"{ALONE}(\d+)(\.\s++)(?=[一-龥])", _leading),
    replace(r"(?<=[1-7])\*(?![A-Za-z0-9])", "星"),
    rule(rf"{ALONE}(\d+\s)?(\d{{1,4}})[/⁄](\d{{1,4}})(?![A-Za-z0-9/]|[.,]\d)", _written_fraction),
    rule(
        rf"{ALONE}(\d{{1,3}}\.\d{{1,2}})/(4|5|6|10|20|100)(?![A-Za-z0-9/]|[.,]\d)",
        lambda match: f"{number(match[2])}分之{number(match[1])}",
    ),
    rule(r"((?<!\d)\d++\s?)?([¼-¾⅐-⅞])", _vulgar),
    rule(rf"{ALONE}({NUMBER})(\s[-−–]\s)({NUMBER})(?!\d)", _difference),
    rule(
        r"(?<![A-Za-z0-9.,-])\d{1,4}(?:-\d{1,4}){2,}+(?![A-Za-z0-9-])",
        lambda m: read_series(m, number, "，"),
    ),
    rule(
        r"(?<![A-Za-z0-9.,:])\d+(?::\d+){2,}+(?![A-Za-z0-9:])",
        lambda m: read_series(m, number, "比"),
    ),
    rule(
        r"(?:(?<=[图表])(?<![手电代水报地发钟仪外课程间意企试截拼列怀秒气油][图表])|(?<=公式))(\s?\d{1,2})(-)(\d{1,2})"
        rf"(?!\d|\s?(?:{_UNITS}))",
        _numbered_figure,
    ),
    rule(rf"{ALONE}({NUMBER})({TO})({NUMBER})(?![A-Za-z0-9-]|[.,]\d)", _range),
    rule(
        rf"{ALONE}(\d+(?:\.\d+)?)(\s?[:：]\s?)(\d+(?:\.\d+)?)(?![A-Za-z0-9:：]|[.,]\d)",
        lambda m: _pair(m, "比"),
    ),
    rule(r"(?<=[a-z])[₀-₉]+(?=\d)", lambda match: f"{numerals.chinese(subscript(match[0]))}，"),
    rule(rf"{ALONE}({NUMBER})(\s?[×x]\s?)({NUMBER})(?![A-Za-z0-9%％])", lambda m: _pair(m, "乘")),
    replace(rf"(?<=[{_SERIES}])-(?=\d)", ""),
    rule(r"(?<![A-Za-z0-9.])[-−](?=\d)", _minus),
    replace(r"(?:№|[Nn][Oo]\.?|#)\s?(?=\d)", "第"),
    replace("§", "第"),
    replace(r"(?<=\d)\s?[~～]\s?(?=[-−]\d)", "到"),
    replace(r"(?<=\d[一-龥%％℃°])\s?[~～]\s?(?=[\d¥￥$])", "到"),
    replace(r"(?<![\w一-龥])[~～≈]\s?(?=\d)|(?<=[\w一-龥])[~～]\s?(?=\d)", "约"),
    replace(r"\s?≈\s?", "约等于"),
    replace("³√|∛", "立方根号"),
    replace("√", "根号"),
    replace("±", "正负"),
    replace(r"\s?(?:≥|>\s?=)\s?", "大于等于"),
    replace(r"\s?(?:≤|<=)\s?", "小于等于"),
    replace(r"\s?>\s?(?=\d)", "大于"),
    replace(r"\s?<\s?(?=\d)", "小于"),
    replace(r"\s?≠\s?", "不等于"),
    replace(r"\s?∞", "无穷大"),
    replace("[↑▲](?=\\s?\\d)", "上升"),
    replace("[↓▼](?=\\s?\\d)", "下降"),
    rule(r"\s?[∈∉⊂⊆∪∩∅∑∏∫∂∀∃∝≡∴∵∠⊥⟂∥]\s?", lambda match: _SYMBOLS[match[0].strip()]),
    replace("π", "派"),
    rule(GREEK, read_symbol),
    replace(r"\s?÷\s?", "除以"),
    replace(r"(?<=[A-Za-z0-9一-龥])\s?×\s?(?=\d)", "乘"),
    replace(r"(?<=[A-Za-z0-9])\s?×\s?", "乘"),
    rule(rf"(?<=[A-Za-z0-9)）]){SUPERSCRIPT}", lambda match: _EXPRESSIONS.raised(match[0])),
    rule(
        r"[\u2460-\u2473\u2776-\u277f\u2780-\u2793\u24ea]",
        lambda match: numerals.chinese(int(unicodedata.numeric(match[0]))),
    ),
    replace(r"\bC\+\+", "C加加"),
    rule(r"(?<![A-Za-z])([CF])#(?!\d)", lambda match: f"{match[1]} sharp"),
    replace(r"(?<=\d)\+(?=[元块个人位名种件条款家年])", "多"),
    replace(r"(?<=[\d十百千万亿])\+(?![A-Za-z\d(（零一二两三四五六七八九十])", "以上"),
    replace(r"\s?\+\s?", "加"),
    replace(r"(?<=[^\s=])\s?={1,3}\s?(?=[^\s=])", "等于"),
    replace(r"(?<=[A-Za-z\d一-龥])\s?\b(?:vs|VS)\b\.?\s?(?=[A-Za-z\d一-龥])", "对"),
    replace(r"(?<!\S)\.(?=[A-Za-z]{2})", "点"),
    replace(r"(?<=[A-Za-z])\s?&\s?(?=[A-Za-z])", " and "),
    replace(r"\s?&\s?", "和"),
    replace(r"#(?=\w|[一-龥])", ""),
    replace(r"(?<![A-Za-z0-9.])@(?=\w|[一-龥])", "艾特"),
    replace("@", " at "),
    replace(r"™|®|©", ""),
    rule(NUMBER, lambda match: number(match[0])),
    rule(r"(?<![A-Za-z0-9])\.\d+", lambda match: f"零点{numerals.chinese_digits(match[0][1:])}"),
)
