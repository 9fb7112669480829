"""What the words of a language tell, read from `languages/`.

A text with a Chinese character in it is Chinese, any other is read as English.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from services.speech.text.segmentation import is_cjk

_LANGUAGES = Path(__file__).parent / "languages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """One language; `kinds` in the order in which they are tried, by the names of `Kind`."""

    common_words: frozenset[str]
    """Words that do not tell what a text is about."""
    no_names: frozenset[str]
    """Words that are no names, whatever they look like."""
    kinds: tuple[tuple[str, re.Pattern[str]], ...]
    sum_asked: re.Pattern[str]
    preface: re.Pattern[str]
    statement: re.Pattern[str]
    about_user: re.Pattern[str]
    agreement: re.Pattern[str]
    admission: re.Pattern[str]
    negation: re.Pattern[str]
    human: re.Pattern[str]
    of_house: re.Pattern[str]
    of_user: re.Pattern[str]
    gratis: re.Pattern[str]
    frequent: re.Pattern[str]
    located: re.Pattern[str]
    storey: re.Pattern[str]
    timed: re.Pattern[str]
    units: dict[str, str]
    """The unit that a word names."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a language's file."""
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        common = content.pop("function_words") + content.pop("general_words")
        kinds = content.pop("kinds")
        units = content.pop("units")
        no_names = content.pop("no_names")
        return cls(
            common_words=frozenset((*common.split(), *" ".join(units.values()).split())),
            no_names=frozenset(no_names.split()),
            kinds=tuple((kind, _pattern(patterns)) for kind, patterns in kinds.items()),
            units={word: unit for unit, words in units.items() for word in words.split()},
            **{name: _pattern(patterns) for name, patterns in content.items()},
        )


@cache
def lexicon(language: str) -> Lexicon:
    """Return what is known of a language: en or zh."""
    return Lexicon.read(_LANGUAGES / f"{language}.toml")


def lexicon_of(text: str) -> Lexicon:
    """Return what is known of the language that a text is in."""
    return lexicon("zh" if is_chinese(text) else "en")


def is_chinese(text: str) -> bool:
    """Whether a text holds characters of a script without spaces."""
    return any(map(is_cjk, text))


def straight(text: str) -> str:
    """Return a text with its apostrophes as the patterns have them."""
    return text.replace("’", "'")


def _pattern(patterns: Any) -> re.Pattern[str]:
    joined = patterns if isinstance(patterns, str) else "|".join(f"(?:{each})" for each in patterns)
    return re.compile(joined, re.IGNORECASE)
