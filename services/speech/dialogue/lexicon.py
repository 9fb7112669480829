"""The words and patterns of a language, read from `languages/`.

A text that contains a Chinese character is Chinese; any other is treated as English.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from services.speech.text.segmentation import has_cjk

_LANGUAGES = Path(__file__).parent / "languages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """One language; `kinds` are named as in `Kind` and tried in order."""

    common_words: frozenset[str]
    """Words that say nothing about a text's subject."""
    not_names: frozenset[str]
    """Words that look like names and are not."""
    kinds: tuple[tuple[str, re.Pattern[str]], ...]
    sum_request: re.Pattern[str]
    introduction: re.Pattern[str]
    statement: re.Pattern[str]
    about_user: re.Pattern[str]
    agreement: re.Pattern[str]
    admission: re.Pattern[str]
    negation: re.Pattern[str]
    claims_human: re.Pattern[str]
    about_venue: re.Pattern[str]
    addresses_user: re.Pattern[str]
    price_words: re.Pattern[str]
    frequency_words: re.Pattern[str]
    place_words: re.Pattern[str]
    floor_words: re.Pattern[str]
    time_words: re.Pattern[str]
    units: dict[str, str]
    """The unit that a word names."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a language from its file."""
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        common = content.pop("function_words") + content.pop("general_words")
        kinds = content.pop("kinds")
        units = content.pop("units")
        not_names = content.pop("not_names")
        return cls(
            common_words=frozenset((*common.split(), *" ".join(units.values()).split())),
            not_names=frozenset(not_names.split()),
            kinds=tuple((kind, _pattern(patterns)) for kind, patterns in kinds.items()),
            units={word: unit for unit, words in units.items() for word in words.split()},
            **{name: _pattern(patterns) for name, patterns in content.items()},
        )


@cache
def lexicon(language: str) -> Lexicon:
    """Return the lexicon of a language: en or zh."""
    return Lexicon.load(_LANGUAGES / f"{language}.toml")


def lexicon_of(text: str) -> Lexicon:
    """Return the lexicon of the language that a text is in."""
    return lexicon("zh" if is_chinese(text) else "en")


def is_chinese(text: str) -> bool:
    """Whether a text contains characters of a script that has no spaces."""
    return has_cjk(text)


def ascii_apostrophes(text: str) -> str:
    """Return a text with straight apostrophes, as the patterns have them."""
    return text.replace("’", "'")


def _pattern(patterns: Any) -> re.Pattern[str]:
    joined = patterns if isinstance(patterns, str) else "|".join(f"(?:{each})" for each in patterns)
    return re.compile(joined, re.IGNORECASE)
