"""The words of Chinese text, which has no spaces between them.

They are those of a dictionary with 350,000 words, which a process reads once.
"""

import functools
import io
import logging
import threading
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
    return list(_dictionary().segmenter.cut(text))


def tag_words(text: str) -> Iterator[TaggedWord]:
    """Yield the words of a text, and what is between them, with their parts of speech."""
    for token in _dictionary().tagger.cut(text):
        yield TaggedWord(text=token.word, tag=token.flag)


def load_dictionary() -> None:
    """Read the dictionary: that takes half a second, for which the first text would wait."""
    _dictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dictionary:
    """What the library makes of it."""

    segmenter: jieba.Tokenizer
    tagger: Any


_loading = threading.Lock()


def _dictionary() -> _Dictionary:
    with _loading:
        return _read_dictionary()


@functools.cache
def _read_dictionary() -> _Dictionary:
    # The library's own way takes longer, and keeps what it has read in a folder where other users
    # of the machine may write.
    words = jieba.dt
    with words.get_dict_file() as file:
        fields = file.read().decode().split()
    names, tags = fields[::3], fields[2::3]
    counts = list(map(int, fields[1::3]))
    # Beginnings of words count as words that never occur.
    words.FREQ = dict.fromkeys({word[:end] for word in names for end in range(1, len(word))}, 0)
    words.FREQ.update(zip(names, counts, strict=True))
    words.total = sum(counts)
    words.initialized = True
    # When it is imported it reads the same file for the parts of speech, line by line.
    own_way = words.get_dict_file
    words.get_dict_file = io.BytesIO
    try:
        from jieba import posseg
    finally:
        words.get_dict_file = own_way
    posseg.dt.word_tag_tab = dict(zip(names, tags, strict=True))
    return _Dictionary(segmenter=words, tagger=posseg.dt)
