"""Recognises a language other than the conversation's, and what a persona says about it."""

import re
from dataclasses import dataclass

from services.runtime.languages import primary
from services.speech.personas.catalogue import PersonaLanguage
from services.speech.ports.recognition import Transcript
from services.speech.text.segmentation import count_cjk

MIN_HAN_CHARACTERS = 3
MIN_LATIN_WORDS = 4
"""Fewer may be a name, or a word that both languages use."""

_NAMES = {"en": {"en": "English", "zh": "Chinese"}, "zh": {"en": "英语", "zh": "中文"}}
_REFUSALS = {
    "en": "Sorry, I only speak {language} here.",
    "zh": "抱歉，我在这里只会说{language}。",
}
_LATIN_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")


_SHARED = frozenset(("ok", "okay", "bye", "app", "wifi"))
"""English words that people use in Chinese."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizedText:
    """A text and its language."""

    text: str
    language_code: str


def other_language(transcript: Transcript, language_code: str) -> str:
    """Return the language that was used instead of the given one; empty if that is not clear.

    It is the recognizer's, if it names one, else that of the script; a foreign word is not enough.
    """
    expected = primary(language_code)
    used = primary(transcript.language_code) or _by_script(transcript.text, expected)
    return used if used != expected else ""


def used_language(transcript: Transcript, language_code: str) -> str:
    """Return the language that was used, for someone who speaks several.

    It is the recognizer's, if it names one, else that of the script. A text in which neither is
    clear, such as a name, is in the given one.
    """
    if transcript.language_code:
        return transcript.language_code
    han = count_cjk(transcript.text)
    words = [word for word in _LATIN_WORD.findall(transcript.text) if word.lower() not in _SHARED]
    if han > len(words):
        return "zh" if primary(language_code) not in ("ja", "yue") else language_code
    return "en" if words and not han and primary(language_code) == "zh" else language_code


def language_refusal(language: PersonaLanguage, used: str) -> tuple[LocalizedText, ...]:
    """Return what a persona says to a user of another language, in both; none if it is unknown.

    The persona's own wording, if it has one, is said alone.
    """
    own = primary(language.language_code)
    if language.other_language_reply:
        return (
            LocalizedText(text=language.other_language_reply, language_code=language.language_code),
        )
    return tuple(
        LocalizedText(text=_REFUSALS[each].format(language=_NAMES[each][own]), language_code=code)
        for each, code in ((own, language.language_code), (used, used))
        if own in _NAMES and each in _REFUSALS
    )


def joined(texts: tuple[LocalizedText, ...]) -> str:
    """Return some texts as one."""
    return " ".join(each.text for each in texts)


def language_at(end: int, texts: tuple[LocalizedText, ...]) -> str:
    """Return the language of what ends at a character of the joined texts; empty beyond them."""
    for each in texts:
        end -= len(each.text) + 1
        if end <= 0:
            return each.language_code
    return ""


def _by_script(text: str, expected: str) -> str:
    han = count_cjk(text)
    words = len(_LATIN_WORD.findall(text))
    if expected == "zh":
        return "en" if not han and words >= MIN_LATIN_WORDS else ""
    # A Chinese word has about two characters.
    is_chinese = expected not in ("ja", "yue") and han >= MIN_HAN_CHARACTERS and han > 2 * words
    return "zh" if is_chinese else ""
