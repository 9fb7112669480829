"""Variables of a persona: `{{name}}` in its texts stands for what is known of a call."""

import re
from collections.abc import Iterable, Mapping

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the variables that texts use, in order, each once."""
    return tuple(dict.fromkeys(name for text in texts for name in _PLACE.findall(text)))


def stand_in(text: str, word: str) -> str:
    """Return a text with a word in the place of every variable."""
    return _PLACE.sub(word, text)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the values of its variables; one without a value is left out."""
    return _PLACE.sub(lambda place: values.get(place[1], ""), text)
