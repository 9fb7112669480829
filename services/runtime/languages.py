"""Languages by their BCP-47 codes, such as `en` and `zh-TW`."""

from collections.abc import Sequence

AUTO = "auto"
"""Stands for whichever language is spoken."""


def primary(language_code: str) -> str:
    """Return the language without its region and script: `zh` of `zh-TW`."""
    return language_code.partition("-")[0].lower()


def nearest(wanted: str, offered: Sequence[str]) -> str | None:
    """Return the offered code that equals the wanted one, else the first of the same language.

    Case does not matter; None when the language is not offered in any region.
    """
    exact = (code for code in offered if code.lower() == wanted.lower())
    alike = (code for code in offered if primary(code) == primary(wanted))
    return next(exact, None) or next(alike, None)
