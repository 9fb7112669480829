"""The comparable claims of a sentence: its numbers with their units, its days, and its names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from services.speech.chinese_words import tag_words
from services.speech.dialogue.lexicon import ascii_apostrophes, is_chinese, lexicon

_ONES_WORDS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL_WORDS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ONES = {word: value for value, word in enumerate(_ONES_WORDS.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_ORDINALS = {word: value for value, word in enumerate(_ORDINAL_WORDS.split(), start=1)}
_DENOMINATORS = {"half": 2, "halve": 2, "quarter": 4} | {
    word: value for word, value in _ORDINALS.items() if value > 2
}
_DOZENS = {"half": Fraction("0.5"), "dozen": Fraction(12)}
_NUMBER_WORDS = frozenset(("a", "an", *_ONES, *_TENS, *_ORDINALS, *_DOZENS))
"""With one of these, or a digit, a number begins."""
_NO_NUMBER = (0, Fraction(0), False)
MONEY = frozenset(("dollar", "euro", "pound", "yuan", "cent", "percent", "discount"))
SPANS = frozenset(("second", "minute", "hour", "day", "week", "month", "year", "century"))
LENGTHS = frozenset(("mile", "kilometre", "metre", "foot", "inch"))
WEIGHTS = frozenset(("kilogram", "ton", "milligram"))

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_CHINESE_WEEKDAY = re.compile("(?:星期|礼拜|周)([一二三四五六日天])")
_CHINESE_NUMBER = re.compile(
    r"(?P<share>百分之)?"
    r"(?P<number>(?<![\d:$€£¥/])\d[\d,]{0,40}(?:\.\d{1,40})?(?![\d:%/])|"
    r"[零〇一二两三四五六七八九十百千万亿半]{1,40}(?:点[零〇一二三四五六七八九]{1,40}(?![十分刻]))?)"
    rf"(?P<unit>{'|'.join(sorted(lexicon('zh').units, key=len, reverse=True))})?"
)
_CHINESE_FRACTION = re.compile(
    r"(?!百分之)([1-9]\d{0,14}|[一二两三四五六七八九十百千]{1,15})分之(\d{1,15}|[一二两三四五六七八九十百千]{1,15})"
)
_CHINESE_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")}
_CHINESE_DIGITS |= {"〇": 0, "两": 2}
_CHINESE_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
# Words with number characters that do not stand for a number.
_CHINESE_IDIOMS = re.compile(
    "一(?:[点下些样起般定直共边旁切会面路种只条位本件张句首道家份杯碗座]|个(?!小时|月|星期))|"
    "十分(?!钟)|千万(?!元|块|人|年)|"
    "万一|统一|唯一|第一[次步]|半天|一半|[一二两三]者|万分|百货|百姓|三明治|四周|七夕"
)

_CHINESE_AND_A_HALF = re.compile("([一二两三四五六七八九十]+)个半")

_TOKEN = re.compile(
    r"[$€£¥]|\d{1,2}:\d{2}|\d{1,15}/[1-9]\d{0,15}|\d[\d,]{0,40}(?:\.\d{1,40})?|%|o['’]clock|[ap]\.m|[A-Za-z]+(?:['’][A-Za-z]+)*|[.!?;,]"
)
_CURRENCIES = frozenset("$€£¥")
_AND_A_HALF = ["and", "a", "half"]
_ORDINAL_SUFFIX = re.compile("st|nd|rd|th")

_CAPITALISED = re.compile(r"[A-Z][A-Za-z’'-]+")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n\"“])\s*$")
_NOT_IN_CHINESE_NAME = re.compile("^[太真很好最]|[你您我他她它们了吗呢吧的]")
_CHINESE_NAMES = frozenset(("nr", "nrt", "nrfg", "ns", "nt"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A number, weekday or month; the unit is empty where the words name none."""

    amount: Fraction
    unit: str = ""

    def agrees(self, other: "Value") -> bool:
        """Whether the two may be the same: a missing unit agrees with any."""
        units_agree = not self.unit or not other.unit or self.unit == other.unit
        return self.amount == other.amount and units_agree


@lru_cache(maxsize=16)
def values(text: str) -> tuple[Value, ...]:
    """Return the numbers, prices, times and days in a text, in English or Chinese.

    Several checks of one sentence ask for them, so the latest are kept.
    """
    if is_chinese(text):
        return (*_english(_CHINESE_NUMBER.sub("，", text)), *_chinese(text))
    return tuple(_english(text))


def parse_number(written: str) -> Fraction | None:
    """Return the number that a whole text is: three quarters, two and a half, 四分之三, 三点五."""
    if is_chinese(written):
        return _chinese_number(written)
    tokens = [match.group() for match in _TOKEN.finditer(written)]
    is_one = tokens[:1] and tokens[0].lower() in ("a", "an")
    read, amount, is_ordinal = (1, Fraction(1), False) if is_one else _parse_tokens(tokens, 0)
    rest = [token.lower() for token in tokens[read:]]
    if not rest:
        return None if is_one or is_ordinal else amount
    if len(rest) == 1 and rest[0].removesuffix("s") in _DENOMINATORS and not is_ordinal:
        return (amount if read else 1) / Fraction(_DENOMINATORS[rest[0].removesuffix("s")])
    share = parse_number(" ".join(rest[1:])) if rest[0] == "and" else None
    return amount + share if share is not None else None


def names(text: str) -> tuple[str, ...]:
    """Return the proper names in a text."""
    found = []
    for match in _CAPITALISED.finditer(text):
        word = re.sub(r"['’]s?$", "", match.group())
        starts = _SENTENCE_START.search(text[: match.start()]) is not None
        goes_on = re.match(r"\s[A-Z][a-z]", text[match.end() : match.end() + 3]) is not None
        lower = word.lower()
        is_common = lower in lexicon("en").common_words or lower in _WEEKDAYS or lower in _MONTHS
        known = (
            word in lexicon("en").not_names or re.match("I['’]", word) or (starts and not goes_on)
        )
        if not known and not is_common:
            found.append(word)
    if is_chinese(text):
        found += [
            word.text
            for word in tag_words(text)
            if word.tag in _CHINESE_NAMES and len(word.text) > 1 and _may_be_name(word.text)
        ]
    return tuple(found)


def _may_be_name(word: str) -> bool:
    """Whether a Chinese word can be a name: the dictionary tags even 太棒了 and 谢谢 as names."""
    words = lexicon("zh")
    is_ordinary = word in words.not_names or word in words.common_words
    return not is_ordinary and _NOT_IN_CHINESE_NAME.search(word) is None


def _english(text: str) -> Iterator[Value]:
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    at = 0
    while at < len(tokens):
        word = tokens[at].lower()
        if word in _WEEKDAYS or word.removesuffix("s") in _WEEKDAYS:
            yield Value(amount=Fraction(_WEEKDAYS.index(word.removesuffix("s"))), unit="weekday")
        elif word in _MONTHS:
            yield Value(amount=Fraction(_MONTHS.index(word)), unit="in the year")
        read, amount, is_ordinal = _parse_tokens(tokens, at)
        if length := _fraction_length(tokens, at, 0 if is_ordinal else read):
            part = _DENOMINATORS[tokens[at + length - 1].lower().removesuffix("s")]
            count = amount if length > 1 and read and not is_ordinal else Fraction(1)
            yield Value(amount=count / part, unit="fraction")
            at += length
            continue
        if read:
            unit = _unit(tokens, at, at + read)
            counted = (
                (*MONEY, "clock", "floor") if is_ordinal else (*MONEY, *SPANS, "clock", "floor")
            )
            is_pronoun = (amount == 1 or is_ordinal) and unit not in counted
            if not is_pronoun:
                yield Value(amount=amount, unit=unit)
        at += max(read, 1)


def _fraction_length(tokens: list[str], at: int, counted: int) -> int:
    """Return how many tokens make up a fraction: one third, three quarters, sixths; 0 for none.

    The first `counted` of them are a number.
    """
    if not counted and tokens[at].lower() == "a" and tokens[at + 1 : at + 2] == ["quarter"]:
        counted = 1
    word, *after = [each.lower() for each in tokens[at + counted : at + counted + 2]] or [""]
    is_part = word.removesuffix("s") in _DENOMINATORS and (counted > 0 or word.endswith("s"))
    # A quarter past nine.
    return counted + 1 if is_part and after not in (["past"], ["to"], ["after"]) else 0


def _parse_tokens(tokens: list[str], at: int) -> tuple[int, Fraction, bool]:
    """Return how many tokens make up a number, its amount, and whether it is an ordinal word."""
    token = tokens[at].lower()
    if token not in _NUMBER_WORDS and not token[0].isdigit():
        return _NO_NUMBER
    following = [each.lower() for each in tokens[at + 1 : at + 5]]
    if "/" in token:
        return 1, Fraction(token), False
    if token == "a" and following and following[0] in _SCALES:
        return _parse_words(["one", *tokens[at + 1 :]], 0)
    if token in ("a", "an") and following and lexicon("en").units.get(following[0]) in SPANS:
        return 1, Fraction(3 if following[1:] == _AND_A_HALF else 2, 2), False
    if ":" in token:
        hours, minutes = token.split(":")
        return 1, Fraction(hours) + Fraction(minutes) / 60, False
    if token[0].isdigit():
        amount = Fraction(token.replace(",", ""))
        if following and following[0] in _SCALES:
            return 2, amount * _SCALES[following[0]], False
        return 1, amount, False
    if token in _ORDINALS:
        return 1, Fraction(_ORDINALS[token]), True
    if token == "half" and following[:2] == ["an", "hour"]:
        return 3, Fraction(30), False
    if token in _DOZENS:
        return 1, _DOZENS[token], False
    return _parse_words(tokens, at)


def _parse_words(tokens: list[str], at: int) -> tuple[int, Fraction, bool]:
    """Add up number words: nineteen hundred, two hundred and eighty, eighteen twenty-two."""
    total, group, end = 0, 0, at
    last = 0
    while end < len(tokens):
        word = tokens[end].lower()
        small = _ONES.get(word, _TENS.get(word))
        if small is not None:
            if last and (last < 20 <= small or (10 <= last < 20 and small >= 10)):
                group *= 100  # A year: eighteen twenty-two.
            elif last and not (last >= 20 and last % 10 == 0 and small < 10):
                break  # Another number: two, three.
            group, last = group + small, small
        elif word in _SCALES and end > at:
            if word == "hundred":
                group = max(group, 1) * 100
            else:
                total, group = total + max(group, 1) * _SCALES[word], 0
            last = 0
        elif not (word == "and" and end > at and _is_within_number(tokens, end)):
            break
        end += 1
    return end - at, Fraction(total + group), False


def _is_within_number(tokens: list[str], at: int) -> bool:
    """Whether an "and" is part of a number: two hundred and eighty."""
    after = tokens[at + 1].lower() if at + 1 < len(tokens) else ""
    return tokens[at - 1].lower() in _SCALES and (after in _ONES or after in _TENS)


def _unit(tokens: list[str], start: int, end: int) -> str:
    units = lexicon("en").units
    if start and tokens[start - 1] in _CURRENCIES:
        return units[tokens[start - 1]]
    if ":" in tokens[start]:
        return "clock"
    if tokens[end - 1].lower() == "hour":
        return "minute"  # Half an hour.
    following = [ascii_apostrophes(token).lower() for token in tokens[end : end + 3]]
    if following and _ORDINAL_SUFFIX.fullmatch(following[0]):
        following = [*following[1:], ""]
    if following and following[0] in units:
        return units[following[0]]
    if start and _is_time(tokens[start - 1].lower(), following[0] if following else "."):
        return "clock"
    if following[:2] in (["in", "the"], ["at", "night"], ["at", "noon"]):
        return "clock" if following[-1] in ("morning", "afternoon", "evening", "noon") else ""
    return ""


def _is_time(before: str, after: str) -> bool:
    """Whether a bare number between two words is a time of day: until five, from nine to six."""
    if before in ("at", "until", "till"):
        return True
    return before in ("from", "to", "by", "between") and not (
        after[0].isalpha() and after not in ("and", "to", "until", "in", "on")
    )


def _chinese(text: str) -> Iterator[Value]:
    for match in _CHINESE_WEEKDAY.finditer(text):
        day = "一二三四五六日".index(match.group(1).replace("天", "日"))
        yield Value(amount=Fraction(day), unit="weekday")
    for match in _CHINESE_FRACTION.finditer(text):
        part, count = (_chinese_amount(each) for each in match.groups())
        yield Value(amount=count / part, unit="fraction")
    plain = _CHINESE_FRACTION.sub("，", _CHINESE_WEEKDAY.sub("，", text))
    plain = _CHINESE_AND_A_HALF.sub(lambda half: f"{_chinese_amount(half[1])}.5个", plain)
    plain = _CHINESE_IDIOMS.sub("，", plain)
    for match in _CHINESE_NUMBER.finditer(plain):
        written = match.group("number")
        unit = (
            "percent" if match.group("share") else lexicon("zh").units.get(match.group("unit"), "")
        )
        amount = _chinese_amount(written)
        if unit == "half past":
            amount, unit = amount + Fraction("0.5"), "clock"
        if amount != 1 or unit:
            yield Value(amount=amount, unit=unit)


def _chinese_number(written: str) -> Fraction | None:
    if written == "一半":
        return Fraction("0.5")
    part, is_share, count = written.partition("分之")
    if not is_share:
        return _chinese_amount(written)
    parts = 100 if part == "百" else _chinese_amount(part)
    return _chinese_amount(count) / parts if parts else None


def _chinese_amount(written: str) -> Fraction:
    if written[0].isdigit():
        return Fraction(written.replace(",", ""))
    if written == "半":
        return Fraction("0.5")
    whole, is_decimal, decimals = written.partition("点")
    if is_decimal:
        digits = "".join(str(_CHINESE_DIGITS[character]) for character in decimals)
        return _chinese_amount(whole) + Fraction(f"0.{digits}")
    if all(character in _CHINESE_DIGITS for character in written):
        return Fraction("".join(str(_CHINESE_DIGITS[character]) for character in written))
    total, group, digit = 0, 0, 0
    for character in written.replace("半", ""):
        if character in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[character]
            continue
        scale = _CHINESE_SCALES[character]
        if scale >= 10**4:
            total, group, digit = (total + group + digit) * scale, 0, 0
        else:
            group, digit = group + max(digit, 1) * scale, 0
    return Fraction(total + group + digit)
