"""The words of Chinese text, which has no spaces between them.

They are those of a dictionary with 350,000 words, which a process reads once.
"""

import functools
import logging
import tempfile
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
    # The library keeps what it has read in this folder. By default it is one where other users of
    # the machine may write.
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        jieba.dt.tmp_dir = folder
        jieba.dt.initialize()
    return jieba.dt


@functools.cache
def _tagger() -> Any:
    _segmenter()
    # Reads all parts of speech when it is imported.
    from jieba import posseg

    return posseg.dt
