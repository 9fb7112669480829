"""The content words of a text, in a form that can be compared.

English is split at spaces and stemmed, Chinese is segmented with a dictionary. Numbers do not
count as content words: `claims.py` reads them.
"""

import re
from collections.abc import Iterable

from services.speech.chinese_words import split_words
from services.speech.dialogue.lexicon import ascii_apostrophes, is_chinese, lexicon
from services.speech.text.segmentation import CLOSERS, SENTENCE_MARKS, Boundary, boundary_at, is_cjk

_SENTENCE_MARK = re.compile(f"[{re.escape(''.join(SENTENCE_MARKS))}]")
_AFTER_SENTENCES = CLOSERS | SENTENCE_MARKS
_ENGLISH = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_SUFFIXES = ("ing", "ed", "es", "s", "ly", "er", "est")
_MIN_STEM_LENGTH = 3
_MIN_PREFIX_LENGTH = 4
"""A word of at least this length that begins another is taken for a form of it."""

_COUNTED = re.compile(
    "[零一二两三四五六七八九十百千万亿半几第每这那哪]+.?|(?:星期|礼拜|周)[一二三四五六日天]|[开关走坐收付]"
)
"""Numbers, measure words with a number or demonstrative, weekdays, and verbs with no meaning of
their own."""


def sentences(text: str) -> list[str]:
    """Return a text split after each sentence; joined together they are the text again."""
    found, start, at = [], 0, 0
    while mark := _SENTENCE_MARK.search(text, at):
        at = mark.end()
        if boundary_at(text, mark.start()) is not Boundary.SENTENCE:
            continue
        while at < len(text) and text[at] in _AFTER_SENTENCES:
            at += 1
        if text[start:at].strip():
            found.append(text[start:at])
            start = at
    return [*found, text[start:]] if text[start:] else found


def content_words(text: str) -> tuple[str, ...]:
    """Return the content words of a text: English ones as stems, Chinese ones as they are."""
    return (*map(stem, _english_words(text)), *_chinese_words(text))


def surface_forms(text: str) -> dict[str, str]:
    """Return the content words of a text, each with the form it has in the text."""
    english = {stem(word): word for word in _english_words(text)}
    return english | {word: word for word in _chinese_words(text)}


def _english_words(text: str) -> list[str]:
    words = [word.lower().removesuffix("'s") for word in _ENGLISH.findall(ascii_apostrophes(text))]
    common = lexicon("en").common_words
    return [word for word in words if len(word) > 1 and word not in common]


def _chinese_words(text: str) -> list[str]:
    if not is_chinese(text):
        return []
    common = lexicon("zh").common_words
    return [
        word
        for word in split_words(text)
        if is_cjk(word[0]) and word not in common and not _COUNTED.fullmatch(word)
    ]


def stem(word: str) -> str:
    """Return an English word without its inflectional ending."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM_LENGTH:
            word = word[: -len(suffix)]
            break
    if len(word) > _MIN_STEM_LENGTH and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word[:-1] if len(word) > _MIN_STEM_LENGTH and word[-1] in "eyi" else word


class Vocabulary:
    """The content words of some texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        joined = "\n".join(texts)
        self._stems = {word for word in content_words(joined) if not is_cjk(word[0])}
        self._chinese = joined if is_chinese(joined) else ""

    def contains(self, word: str) -> bool:
        """Whether the texts have a content word, or another form of it."""
        if is_cjk(word[0]):
            return self._contains_chinese(word)
        return word in self._stems or any(_is_inflection(word, known) for known in self._stems)

    def missing(self, words: Iterable[str]) -> tuple[str, ...]:
        """Return those of some content words that the texts do not have."""
        return tuple(word for word in words if not self.contains(word))

    def _contains_chinese(self, word: str) -> bool:
        """Longer words may be compounds or full forms: 停车 covers 停车场, 老人 covers 老年人."""
        if word in self._chinese:
            return True
        pairs = [word[at : at + 2] for at in range(len(word) - 1)]
        is_compound = len(pairs) > 1 and any(pair in self._chinese for pair in pairs)
        return is_compound or (len(word) > 2 and word[0] + word[-1] in self._chinese)


def _is_inflection(word: str, known: str) -> bool:
    shorter, longer = sorted((word, known), key=len)
    return len(shorter) >= _MIN_PREFIX_LENGTH and longer.startswith(shorter)
