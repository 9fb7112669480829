"""Numbers as words, in English and Chinese."""

import re

_EN_SMALL = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)

_EN_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_EN_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_EN_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_ZH_DIGITS = "零一二三四五六七八九"
_ZH_SCALES = ((10**12, "万亿"), (10**8, "亿"), (10**4, "万"))

LARGEST = 10**15 - 1
"""Longer numbers are read digit by digit."""


def english(number: int) -> str:
    """Return a number from 0 to LARGEST in words; from a million up with a pause at each scale."""
    return _english(number, pause="," if number >= 10**6 else "")


def _english(number: int, *, pause: str) -> str:
    for scale, name in _EN_SCALES:
        if number >= scale:
            high = _english(number // scale, pause=pause)
            rest = f"{pause} {_english(number % scale, pause=pause)}" if number % scale else ""
            return f"{high} {name}{rest}"
    if number >= 100:
        rest = f" and {_english(number % 100, pause=pause)}" if number % 100 else ""
        return f"{_EN_SMALL[number // 100]} hundred{rest}"
    if number >= 20:
        return _EN_TENS[number // 10 - 2] + (f"-{_EN_SMALL[number % 10]}" if number % 10 else "")
    return _EN_SMALL[number]


def english_ordinal(number: int) -> str:
    """Return first, second, twenty-third."""
    words = english(number)
    last = max(words.rfind(" "), words.rfind("-")) + 1
    head, tail = words[:last], words[last:]
    if tail in _EN_ORDINALS:
        return head + _EN_ORDINALS[tail]
    return head + (f"{tail[:-1]}ieth" if tail.endswith("y") else f"{tail}th")


def english_year(year: int) -> str:
    """Return a year from 1000 to 2999 the way it is spoken."""
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010 or year % 1000 == 0:
        return english(year).replace(" and ", " ")
    if rest == 0:
        return f"{english(century)} hundred"
    return f"{english(century)} {'oh ' if rest < 10 else ''}{english(rest)}"


def english_plural(words: str) -> str:
    """Return the plural of a number word: nineties, hundreds, thirds."""
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def english_digits(digits: str) -> str:
    """Return digits one by one."""
    return " ".join(_EN_SMALL[int(digit)] for digit in digits)


def chinese(number: int) -> str:
    """Return a number from 0 to LARGEST in characters."""
    words = _chinese(number)
    if words.startswith("一十"):
        return words[1:]
    # 两 goes with the larger scales, 二 with tens and hundreds.
    return f"两{words[1:]}" if re.match("二[千万亿]", words) else words


def _chinese(number: int) -> str:
    for scale, name in _ZH_SCALES:
        if number >= scale:
            high, low = divmod(number, scale)
            gap = "零" if 0 < low < scale // 10 else ""
            return _chinese(high) + name + gap + (_chinese(low) if low else "")
    return _chinese_below_10000(number)


def _chinese_below_10000(number: int) -> str:
    if number == 0:
        return "零"
    words = ""
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            words += _ZH_DIGITS[digit] + name
        elif words and number % unit and not words.endswith("零"):
            words += "零"
    return words


def chinese_digits(digits: str) -> str:
    """Return digits one by one."""
    return "".join(_ZH_DIGITS[int(digit)] for digit in digits)


def digit_groups(count: int) -> tuple[int, ...]:
    """Return the sizes of the groups in which so many digits are spoken.

    Up to five stay together; ten and eleven are grouped like telephone numbers.
    """
    if count <= 5:
        return (count,)
    if count in (10, 11):
        return (3, count - 7, 4)
    size = 4 if count % 4 == 0 else 3
    head = count % size
    if head == 1:
        return (*(size,) * (count // size - 1), size - 1, 2)
    return (*(size,) * (count // size), *((head,) if head else ()))


def chinese_code(digits: str) -> str:
    """Return digits one by one as in a call sign: 1 is 幺, which cannot be mistaken for 7."""
    return chinese_digits(digits).replace("一", "幺")
