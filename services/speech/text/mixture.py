"""Which parts of a text are read as Chinese, and which as English, where it mixes the two.

Names within Chinese stay Chinese: 我用的是iPhone 15. An English clause is English.
"""

import re
from collections.abc import Iterator

from services.runtime.languages import primary
from services.speech.text.alignment import Span
from services.speech.text.segmentation import CJK, count_cjk, has_cjk

_LATIN_WORD = re.compile("[A-Za-z]{2,}")
_MIN_LATIN_WORDS = 3

_BETWEEN_CJK = re.compile(rf"[^{CJK}]*[A-Za-z][^{CJK}]*")
_CHINESE_MARKS = "，。！？；：、“”‘’「」《》（）…— "
_GLUED_BEFORE = re.compile(r"[\d.,:/%+$€£¥￥~～-]*(?![A-Za-z\d])", re.ASCII)
_GLUED_AFTER = re.compile(r"(?<![A-Za-z\d.,])[$€£¥￥+-]?\d[\d.,:/-]*%?$", re.ASCII)
"""A number that touches a Chinese character belongs to it: 50元, 门票50."""

_ADDRESS = re.compile(r"\S*[@/]\S*|\w+(?:\.\w+)+", re.ASCII)
_WORD = re.compile(r"(?<![A-Za-z\d])[a-z]+(?:'[a-z]+)?(?![A-Za-z\d])", re.ASCII | re.IGNORECASE)
_VARIABLE = re.compile(r"(?<![A-Za-z])[A-Za-z](?!['’A-Za-z]| [A-Za-z]{2})")
"""A letter that stands for a number, not a word of one letter."""
_FUNCTION_WORDS = frozenset(
    ("a", "an", "the", "of", "at", "in", "on", "is", "are", "was", "were", "be", "to", "and", "or",
     "for", "with", "by", "from", "about", "have", "has", "had", "it", "its", "i", "you", "he",
     "she", "we", "they", "this", "that", "not", "no", "if", "my", "your", "our", "as", "per",
     "than", "page", "chapter", "street", "avenue", "road", "o'clock")
)  # fmt: skip
_SURELY_ENGLISH = re.compile(
    r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? \d|\d(?:st|nd|rd|th)\b"
    r"|\d\s?[ap]\.?m\b|\b(?:Dr|Mr|Mrs|vs|No)\.",
)
_UNITS = frozenset(
    ("km", "cm", "mm", "kg", "mg", "ml", "min", "mins", "sec", "hr", "hrs", "mph", "kph", "rpm",
     "fps", "bpm", "dpi", "ppm", "px", "ms")
)  # fmt: skip


def parts(text: str, language_code: str) -> Iterator[tuple[Span, str]]:
    """Yield the parts of a text in order, each with its language, `zh` or `en`."""
    main = "zh" if _is_chinese(text, language_code) else "en"
    start, last = 0, main
    for place, language in _runs(text, main):
        if language != last and place[0] > start:
            yield (start, place[0]), last
            start = place[0]
        last = language
    if start < len(text):
        yield (start, len(text)), last


def _is_chinese(text: str, language_code: str) -> bool:
    """Whether the text is Chinese as a whole."""
    han = count_cjk(text)
    latin_words = len(_LATIN_WORD.findall(text))
    if primary(language_code) == "zh":
        return han > 0 or latin_words < _MIN_LATIN_WORDS
    return han > latin_words


def _runs(text: str, main: str) -> Iterator[tuple[Span, str]]:
    """Yield the changes of language: English clauses, and Chinese words with their numbers."""
    if not has_cjk(text):
        yield (0, len(text)), main
        return
    end = 0
    for run in _BETWEEN_CJK.finditer(text):
        place = _english(text, run.span())
        if place[0] < place[1] and _is_english(text[slice(*place)], main):
            if end < place[0]:
                yield (end, place[0]), "zh"
            yield place, "en"
            end = place[1]
    if end < len(text):
        yield (end, len(text)), "zh"


def _english(text: str, place: Span) -> Span:
    """Return a place without the marks and numbers at its ends that belong to Chinese words."""
    start, end = place
    if start > 0 and (glued := _GLUED_BEFORE.match(text, start, end)):
        start = glued.end()
    if end < len(text) and (glued := _GLUED_AFTER.search(text[start:end])):
        end = start + glued.start()
    words = text[start:end]
    lead = len(words) - len(words.lstrip(_CHINESE_MARKS))
    return start + lead, max(start + lead, start + len(words.rstrip(_CHINESE_MARKS)))


def _is_english(run: str, main: str) -> bool:
    """Whether words between Chinese characters are a clause, not a name or a unit."""
    words = _WORD.findall(_ADDRESS.sub(" ", _VARIABLE.sub(" ", run)))
    plain = [each for each in words if each.islower() and len(each) > 1 and each not in _UNITS]
    if main == "en":
        return any(each not in _UNITS for each in words)
    if _SURELY_ENGLISH.search(run):
        return True
    has_function_word = any(each.lower() in _FUNCTION_WORDS for each in words)
    return len(plain) > 1 or (len(words) > 1 and has_function_word)
