"""Notices words in another language than the conversation's, and says so."""

import re
from dataclasses import dataclass

from services.speech.personas.catalogue import PersonaLanguage
from services.speech.ports import Transcript
from services.speech.text.segmentation import is_cjk

LEAST_HAN = 3
LEAST_LATIN_WORDS = 4
"""Fewer are a name, or a word that both languages use."""

_NAMES = {"en": {"en": "English", "zh": "Chinese"}, "zh": {"en": "英语", "zh": "中文"}}
_ONLY = {
    "en": "Sorry, I only speak {language} here.",
    "zh": "抱歉，我在这里只会说{language}。",
}
_LATIN_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """A sentence and the language it is in."""

    text: str
    language_code: str


def other_language(transcript: Transcript, language_code: str) -> str:
    """Return the language that was used instead of the given one; empty when that is not clear.

    The recogniser says which, or the script of its text does: a foreign word is no other language.
    """
    expected = primary(language_code)
    heard = primary(transcript.language_code) or _by_script(transcript.text, expected)
    return heard if heard != expected else ""


def only_language(language: PersonaLanguage, heard: str) -> tuple[Saying, ...]:
    """Return what a persona says to somebody who speaks another language, in both; none if unknown.

    A persona's own words are said alone.
    """
    own = primary(language.language_code)
    if language.other_language_reply:
        return (Saying(text=language.other_language_reply, language_code=language.language_code),)
    return tuple(
        Saying(text=_ONLY[said].format(language=_NAMES[said][own]), language_code=code)
        for said, code in ((own, language.language_code), (heard, heard))
        if own in _NAMES and said in _ONLY
    )


def joined(sayings: tuple[Saying, ...]) -> str:
    """Return the sayings as one text."""
    return " ".join(saying.text for saying in sayings)


def language_at(end: int, sayings: tuple[Saying, ...]) -> str:
    """Return the language of what ends at a character of the joined sayings; empty beyond them."""
    for saying in sayings:
        end -= len(saying.text) + 1
        if end <= 0:
            return saying.language_code
    return ""


def primary(language_code: str) -> str:
    """Return the language without its region, in lower case."""
    return language_code.partition("-")[0].lower()


def _by_script(text: str, expected: str) -> str:
    han = sum(map(is_cjk, text))
    words = len(_LATIN_WORD.findall(text))
    if expected == "zh":
        return "en" if not han and words >= LEAST_LATIN_WORDS else ""
    # A word of Chinese has about two characters.
    is_chinese = expected not in ("ja", "yue") and han >= LEAST_HAN and han > 2 * words
    return "zh" if is_chinese else ""
