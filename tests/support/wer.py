"""How far a recognised text is from what was said: word and character error rates."""

import re
import unicodedata
from collections.abc import Sequence

_ONES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ABBREVIATIONS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay"}
_DIGITS = "零一二三四五六七八九"


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Edits per reference word, after case, punctuation and numbers are made alike."""
    words = normalize_words(reference)
    return edit_distance(words, normalize_words(hypothesis)) / max(1, len(words))


def character_error_rate(reference: str, hypothesis: str) -> float:
    """Edits per reference character, for scripts without spaces between words."""
    characters = normalize_characters(reference)
    return edit_distance(characters, normalize_characters(hypothesis)) / max(1, len(characters))


def normalize_words(text: str) -> list[str]:
    """Lower-case words without punctuation; numbers below a thousand, and dollars, are spelled."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"\$(\d+)", r"\1 dollars", text)
    words = re.findall(r"[a-z]+(?:'[a-z]+)?|\d+|[^\W\da-z_]+", text)
    return [
        spelled
        for word in words
        for spelled in (_spell(word) if word.isdigit() else [_ABBREVIATIONS.get(word, word)])
    ]


def normalize_characters(text: str) -> str:
    """Letters and Chinese digits only, without case, spaces or punctuation."""
    text = unicodedata.normalize("NFKC", text).lower()
    return "".join(
        _DIGITS[int(character)] if character.isascii() and character.isdigit() else character
        for character in text
        if character.isalnum()
    )


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Least number of substitutions, insertions and deletions."""
    return edit_distances(reference, hypothesis)[-1]


def edit_distances(reference: Sequence[str], hypothesis: Sequence[str]) -> list[int]:
    """The same for every beginning of the hypothesis, the empty one first."""
    previous = list(range(len(hypothesis) + 1))
    for row, expected in enumerate(reference, start=1):
        current = [row]
        for column, heard in enumerate(hypothesis, start=1):
            current.append(
                min(
                    previous[column] + 1,
                    current[-1] + 1,
                    previous[column - 1] + (expected != heard),
                )
            )
        previous = current
    return previous


def _spell(digits: str) -> list[str]:
    """Small numbers as English reads them; longer ones digit by digit."""
    number = int(digits)
    if number >= 1000 or (digits.startswith("0") and len(digits) > 1):
        return [_ONES[int(digit)] for digit in digits]
    hundreds, rest = divmod(number, 100)
    words = [_ONES[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10 - 2])
        rest %= 10
    if rest or not words:
        words.append(_ONES[rest])
    return words
