"""Makes written text fit to be spoken: no markup, no emoji, numbers and signs as words."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from operator import methodcaller

from services.speech import numerals
from services.speech.sentences import is_cjk

Span = tuple[int, int]

_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"```\w*\n?|`"), ""),
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"(?m)^\s{0,3}(#{1,6}\s+|>\s?|[-*+•]\s+|\d{1,3}[.)]\s+)"), ""),
    (re.compile(r"(?m)^\s*\|?[\s:|-]*-{3,}[\s:|-]*$"), ""),
    (re.compile(r"\*{1,3}|~~|_{2,3}|(?<!\w)_|_(?!\w)"), ""),
    (re.compile(r"</?[A-Za-z][^>]*>"), ""),
)
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u2500-\u27bf\u2b00-\u2bff"
    "\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+"
)
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?([\w-]+(?:[.@][\w-]+)*\.[A-Za-z]{2,})(?:[/?#][^\s，。；、）)]*)?",
    re.ASCII,
)
_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?"

_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_MARK = re.compile(r" (?=[.,!?;:，。！？；：])")
_BESIDE_SPEECH = " |"

_Replace = Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What a voice says for a written text; character i says the written characters `spans[i]`."""

    text: str
    spans: tuple[Span, ...]

    @classmethod
    def as_written(cls, text: str) -> "Spoken":
        """A text that is said as it is written."""
        return cls(text=text, spans=tuple((index, index + 1) for index in range(len(text))))

    def written(self, start: int, end: int) -> Span:
        """Return the written characters that characters [start, end) say."""
        said = self.spans[start:end]
        return min(span[0] for span in said), max(span[1] for span in said)

    def part(self, start: int, end: int) -> "Spoken":
        """Return characters [start, end)."""
        return Spoken(text=self.text[start:end], spans=self.spans[start:end])


SILENCE = Spoken(text="", spans=())


def speakable(text: str, language_code: str) -> Spoken:
    """Return what a voice says for a piece of text; may be empty."""
    spoken = Spoken.as_written(text)
    for pattern, replacement in _MARKUP:
        spoken = _rewrite(spoken, pattern, methodcaller("expand", replacement))
    spoken = _rewrite(spoken, _EMOJI, lambda _: "")
    rules = _CHINESE if language_code.partition("-")[0].lower() == "zh" else _ENGLISH
    for pattern, replace in rules:
        spoken = _rewrite(spoken, pattern, replace)
    spoken = _strip(_rewrite(spoken, _SPACES, lambda _: " "))
    return _rewrite(spoken, _SPACE_BEFORE_MARK, lambda _: "")


def _rewrite(spoken: Spoken, pattern: re.Pattern[str], replace: _Replace) -> Spoken:
    """Replace as `re.sub` does; what a match leaves as it was stays where it is written."""
    parts: list[Spoken] = []
    end = 0
    for match in pattern.finditer(spoken.text):
        parts.append(spoken.part(end, match.start()))
        parts.append(_aligned(spoken.part(*match.span()), replace(match)))
        end = match.end()
    if not parts:
        return spoken
    parts.append(spoken.part(end, len(spoken.text)))
    return Spoken(
        text="".join(part.text for part in parts),
        spans=tuple(span for part in parts for span in part.spans),
    )


def _aligned(before: Spoken, text: str) -> Spoken:
    """Return a text that takes the place of another, with as much in its own place as is kept."""
    if (at := before.text.find(text)) >= 0:
        return before.part(at, at + len(text))
    if len(text) == len(before.text) and all(map(is_cjk, text)):  # such as digits, one by one
        return Spoken(text=text, spans=before.spans)
    head = _common_length(before.text, text)
    tail = _common_length(before.text[head:][::-1], text[head:][::-1])
    stop = len(before.text) - tail
    # What is only added belongs to all of it.
    changed = before.written(*((head, stop) if head < stop else (0, len(before.text))))
    return Spoken(
        text=text,
        spans=(
            *before.spans[:head],
            *[changed] * (len(text) - head - tail),
            *before.spans[stop:],
        ),
    )


def _common_length(one: str, other: str) -> int:
    """Return how many characters at the beginning are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _strip(spoken: Spoken) -> Spoken:
    start = len(spoken.text) - len(spoken.text.lstrip(_BESIDE_SPEECH))
    return spoken.part(start, max(start, len(spoken.text.rstrip(_BESIDE_SPEECH))))


def _whole(digits: str) -> int | None:
    number = int(digits.replace(",", ""))
    return number if number <= numerals.LARGEST else None


def _english_number(digits: str, decimals: str | None) -> str:
    number = _whole(digits)
    is_code = digits.startswith("0") and len(digits) > 1
    if number is None or is_code:
        words = numerals.english_digits(digits.replace(",", ""))
    else:
        words = numerals.english(number)
    return f"{words} point {numerals.english_digits(decimals[1:])}" if decimals else words


def _chinese_number(digits: str, decimals: str | None) -> str:
    number = _whole(digits)
    is_code = digits.startswith("0") and len(digits) > 1
    if number is None or is_code:
        words = numerals.chinese_digits(digits.replace(",", ""))
    else:
        words = numerals.chinese(number)
    return f"{words}点{numerals.chinese_digits(decimals[1:])}" if decimals else words


_EN_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yuan", "yuan", "fen", "fen"),
    "￥": ("yuan", "yuan", "fen", "fen"),
}
_EN_TITLES = {"Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor"}
_EN_UNITS = {
    "km/h": "kilometers per hour",
    "km": "kilometers",
    "cm": "centimeters",
    "mm": "millimeters",
    "kg": "kilograms",
    "mg": "milligrams",
    "ml": "milliliters",
    "GB": "gigabytes",
    "MB": "megabytes",
    "°C": "degrees Celsius",
    "℃": "degrees Celsius",
    "°F": "degrees Fahrenheit",
    "°": "degrees",
    "min": "minutes",
    "%": "percent",
    "m": "meters",
    "g": "grams",
}
_ZH_CURRENCIES = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}
_ZH_UNITS = {
    "km/h": "公里每小时",
    "km": "公里",
    "cm": "厘米",
    "mm": "毫米",
    "kg": "公斤",
    "mg": "毫克",
    "ml": "毫升",
    "°C": "摄氏度",
    "℃": "摄氏度",
    "°": "度",
    "m": "米",
    "g": "克",
}


def _english_money(match: re.Match[str]) -> str:
    one, many, small_one, small_many = _EN_CURRENCIES[match[1]]
    whole, decimals = match[2], match[3]
    if decimals is None or len(decimals) != 3:
        name = one if whole == "1" and not decimals else many
        return f"{_english_number(whole, decimals)} {name}"
    small = int(decimals[1:])
    words = f"{_english_number(whole, None)} {one if whole == '1' else many}"
    if not small:
        return words
    return f"{words} and {numerals.english(small)} {small_one if small == 1 else small_many}"


def _english_time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    half = {"a": " a.m.", "p": " p.m."}.get((match[3] or "").lower(), "")
    if minute:
        words = ("oh " if minute < 10 else "") + numerals.english(minute)
        return f"{numerals.english(hour)} {words}{half}"
    return numerals.english(hour) + (half or " o'clock")


def _english_hour(match: re.Match[str]) -> str:
    return f"{numerals.english(int(match[1]))} {match[2].lower()}.m."


def _english_address(match: re.Match[str]) -> str:
    return match[1].replace("@", " at ").replace(".", " dot ").replace("-", " dash ")


def _english_year(match: re.Match[str]) -> str:
    return f"{match[1]}{numerals.english_year(int(match[2]))}"


_ENGLISH: tuple[tuple[re.Pattern[str], _Replace], ...] = (
    (_ADDRESS, _english_address),
    (
        re.compile(r"(?<![\d-])(?:\d{3}-)?\d{3}-\d{4}(?![\d-])"),
        lambda match: ", ".join(map(numerals.english_digits, match[0].split("-"))),
    ),
    (re.compile(r"(\d)\s?[–—-]\s?(?=[1-9])"), lambda match: f"{match[1]} to "),
    (re.compile(r"(?<![A-Za-z0-9.])-(?=\d)"), lambda _: "minus "),
    (re.compile(rf"([$€£¥￥])\s?{_NUMBER}"), _english_money),
    (re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?:\s?([ap])\.?\s?m\b\.?)?", re.I), _english_time),
    (re.compile(r"\b(\d{1,2})\s?([ap])\.?m\b\.?", re.I), _english_hour),
    (
        re.compile(rf"{_NUMBER}\s?({'|'.join(map(re.escape, _EN_UNITS))})(?![A-Za-z])"),
        lambda match: f"{_english_number(match[1], match[2])} {_EN_UNITS[match[3]]}",
    ),
    (
        re.compile(r"\b(\d{1,6})(?:st|nd|rd|th)\b"),
        lambda match: numerals.english_ordinal(int(match[1])),
    ),
    (
        re.compile(r"\b((?:in|since|of|from|until|by|year)\s)([12]\d{3})(?![\d.,]\d)", re.I),
        _english_year,
    ),
    (re.compile(_NUMBER), lambda match: f"{_english_number(match[1], match[2])}"),
    (re.compile(r"\s?&\s?"), lambda _: " and "),
    (re.compile(r"\s?\+\s?"), lambda _: " plus "),
    (re.compile(r"\s=\s"), lambda _: " equals "),
    (re.compile(r"\be\.g\."), lambda _: "for example"),
    (re.compile(r"\bi\.e\."), lambda _: "that is"),
    (re.compile(r"\betc\."), lambda _: "and so on."),
    (re.compile(r"\b(Dr|Mr|Mrs|Ms|Prof)\."), lambda match: _EN_TITLES[match[1]]),
)


def _chinese_money(match: re.Match[str]) -> str:
    return _chinese_number(match[2], match[3]) + _ZH_CURRENCIES[match[1]]


def _chinese_time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if not minute:
        return f"{numerals.chinese(hour)}点"
    return f"{numerals.chinese(hour)}点{'零' if minute < 10 else ''}{numerals.chinese(minute)}分"


def _chinese_address(match: re.Match[str]) -> str:
    return match[1].replace("@", " at ").replace(".", "点")


_CHINESE: tuple[tuple[re.Pattern[str], _Replace], ...] = (
    (_ADDRESS, _chinese_address),
    (re.compile(r"(\d)\s?[–—~～-]\s?(?=[1-9])"), lambda match: f"{match[1]}到"),
    (re.compile(r"(?<![A-Za-z0-9.])-(?=\d)"), lambda _: "负"),
    (re.compile(rf"([$€£¥￥])\s?{_NUMBER}"), _chinese_money),
    (re.compile(r"(?<!\d)([01]?\d|2[0-3])[:：]([0-5]\d)(?!\d)"), _chinese_time),
    (
        re.compile(rf"{_NUMBER}\s?[%％]"),
        lambda match: f"百分之{_chinese_number(match[1], match[2])}",
    ),
    (
        re.compile(rf"{_NUMBER}\s?({'|'.join(map(re.escape, _ZH_UNITS))})(?![A-Za-z])"),
        lambda match: _chinese_number(match[1], match[2]) + _ZH_UNITS[match[3]],
    ),
    (re.compile(r"(\d{4})(?=年)"), lambda match: numerals.chinese_digits(match[1])),
    (re.compile(r"(?<!\d)1\d{10}(?!\d)"), lambda match: numerals.chinese_digits(match[0])),
    (
        re.compile(r"(?<![\d第.])2(?=[个位种次天年月只条张家层楼点]|小时|分钟)(?!月|年|楼|层)"),
        lambda _: "两",
    ),
    (re.compile(_NUMBER), lambda match: _chinese_number(match[1], match[2])),
    (re.compile(r"\s?&\s?"), lambda _: "和"),
)
