"""The words of Chinese text, which has no spaces between them.

They are those of a dictionary with 350,000 words, which a process reads once.
"""

import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jieba

jieba.setLogLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedWord:
    """A word and its part of speech in jieba's letters: ns is the name of a place."""

    text: str
    tag: str


def split_words(text: str) -> list[str]:
    """Return the words of a text, and what is between them; joined they are the text again."""
    return list(_segmenter().cut(text))


def tag_words(text: str) -> Iterator[TaggedWord]:
    """Yield the words of a text, and what is between them, with their parts of speech."""
    for token in _tagger().cut(text):
        yield TaggedWord(text=token.word, tag=token.flag)


def load_dictionary() -> None:
    """Read the dictionary: that takes a second, for which the first text would wait."""
    _segmenter()
    _tagger()


@functools.cache
def _segmenter() -> jieba.Tokenizer:
    # The library's own way takes longer, and keeps what it has read in a folder where other users
    # of the machine may write.
    words = jieba.dt
    with words.get_dict_file() as file:
        fields = file.read().decode().split()
    counts = list(map(int, fields[1::3]))
    frequencies = dict(zip(fields[::3], counts, strict=True))
    # Beginnings of words count as words that never occur.
    beginnings = (word[:end] for word in frequencies for end in range(1, len(word)))
    words.FREQ = dict.fromkeys(beginnings, 0)
    words.FREQ.update(frequencies)
    words.total = sum(counts)
    words.initialized = True
    return words


@functools.cache
def _tagger() -> Any:
    _segmenter()
    # Reads all parts of speech when it is imported.
    from jieba import posseg

    return posseg.dt
