"""How written things that are not words are said: times, amounts, numbers, units."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from misaki.zh_normalization import chronology, num, phonecode, quantifier

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A text as it is said; `spans[i]` is where character i comes from in the written text."""

    text: str
    spans: tuple[tuple[int, int], ...]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The written characters behind characters [start, end) of the reading."""
        return self.spans[start][0], self.spans[end - 1][1]


def read_english(text: str) -> Reading:
    """Times, units and grouped digits in words; other numbers are the pronouncer's."""
    return _read(_fold(text), _ENGLISH_RULES)


def read_chinese(text: str) -> Reading:
    """Dates, times, amounts and all other numbers in Chinese."""
    return _read(_fold(text), _CHINESE_RULES)


def _fold(text: str) -> str:
    """Plain letters and digits for accented and full-width ones, character by character."""
    return "".join(map(_fold_character, text))


def _fold_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character)[0]
    return plain if plain.isascii() and plain.isalnum() else character


def _read(text: str, rules: Sequence[Rule]) -> Reading:
    said: list[str] = []
    spans: list[tuple[int, int]] = []
    end = 0
    for match, words in sorted(_matches(text, rules), key=lambda found: found[0].start()):
        said.append(text[end : match.start()])
        spans.extend((index, index + 1) for index in range(end, match.start()))
        said.append(words)
        spans.extend([match.span()] * len(words))
        end = match.end()
    said.append(text[end:])
    spans.extend((index, index + 1) for index in range(end, len(text)))
    return Reading(text="".join(said), spans=tuple(spans))


def _matches(text: str, rules: Sequence[Rule]) -> Iterator[tuple[re.Match[str], str]]:
    """What each rule reads; a character read by one rule is not read by a later one."""
    taken: set[int] = set()
    for pattern, say in rules:
        for match in pattern.finditer(text):
            if taken.isdisjoint(range(*match.span())):
                taken.update(range(*match.span()))
                yield match, say(match)


def _english_time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if minute == 0:
        return f"{hour} o'clock"
    return f"{hour} oh {minute}" if minute < 10 else f"{hour} {minute}"


_ENGLISH_UNITS = {
    "kg": "kilograms", "g": "grams", "mg": "milligrams", "km": "kilometers", "m": "meters",
    "cm": "centimeters", "mm": "millimeters", "ml": "milliliters", "l": "liters",
    "gb": "gigabytes", "mb": "megabytes", "kb": "kilobytes", "hz": "hertz", "khz": "kilohertz",
    "min": "minutes", "s": "seconds", "h": "hours", "km/h": "kilometers per hour",
    "°c": "degrees Celsius", "°f": "degrees Fahrenheit", "°": "degrees",
}  # fmt: skip


def _english_amount(match: re.Match[str]) -> str:
    unit = _ENGLISH_UNITS[match[2].lower()]
    if match[1] == "1":
        unit = re.sub(r"^(\w+?)s\b", r"\1", unit)
    return f"{match[1]} {unit}"


def _spell_digits(match: re.Match[str]) -> str:
    """Digit by digit, with a pause for each hyphen."""
    return ", ".join(" ".join(group) for group in match[0].split("-"))


_UNIT = "|".join(sorted(map(re.escape, _ENGLISH_UNITS), key=len, reverse=True))
_ENGLISH_RULES: Sequence[Rule] = (
    (re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b"), _english_time),
    (re.compile(r"\b\d{3}(?:-\d{3,4}){1,2}\b"), _spell_digits),
    (re.compile(rf"(?<![\w.])(\d+(?:\.\d+)?) ?({_UNIT})(?![\w/])", re.IGNORECASE), _english_amount),
    (re.compile(r"\bvs\b\.?", re.IGNORECASE), lambda match: "versus"),
)


def _chinese_number(match: re.Match[str]) -> str:
    return str(num.replace_number(num.RE_NUMBER.match(match[0].replace(",", ""))))


def _chinese_price(match: re.Match[str]) -> str:
    currency = {"¥": "元", "￥": "元", "$": "美元", "€": "欧元"}[match[1]]
    return f"{num.num2str(match[2].replace(',', ''))}{currency}"


def _chinese_measure(match: re.Match[str]) -> str:
    return f"{num.num2str(match[1])}{quantifier.measure_dict[match[2]]}"


_MEASURE = "|".join(sorted(map(re.escape, quantifier.measure_dict), key=len, reverse=True))
_CHINESE_RULES: Sequence[Rule] = (
    (re.compile(r"(?<=[A-Za-z])-(\d+)"), lambda match: f" {num.num2str(match[1])}"),
    (re.compile(r"([¥￥$€])(\d[\d,]*(?:\.\d+)?)元?"), _chinese_price),
    (chronology.RE_DATE, chronology.replace_date),
    (chronology.RE_DATE2, chronology.replace_date2),
    (chronology.RE_TIME_RANGE, chronology.replace_time),
    (chronology.RE_TIME, chronology.replace_time),
    (quantifier.RE_TEMPERATURE, quantifier.replace_temperature),
    (re.compile(rf"(\d+(?:\.\d+)?) ?({_MEASURE})(?![A-Za-z])"), _chinese_measure),
    (num.RE_FRAC, num.replace_frac),
    (num.RE_PERCENTAGE, num.replace_percentage),
    (phonecode.RE_MOBILE_PHONE, phonecode.replace_mobile),
    (phonecode.RE_TELEPHONE, phonecode.replace_phone),
    (phonecode.RE_NATIONAL_UNIFORM_NUMBER, phonecode.replace_phone),
    (re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?"), _chinese_number),
    (num.RE_RANGE, num.replace_range),
    (num.RE_DECIMAL_NUM, num.replace_number),
    (num.RE_INTEGER, num.replace_negative_num),
    # Two of something is 两, in front of the measure words that ordinary speech has.
    (re.compile(r"(?<![\d第])2(?=[个位只次天年点杯本张件条种层家间])"), lambda match: "两"),
    (num.RE_POSITIVE_QUANTIFIERS, num.replace_positive_quantifier),
    (num.RE_DEFAULT_NUM, num.replace_default_num),
    (num.RE_NUMBER, num.replace_number),
)
