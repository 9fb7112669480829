"""Addresses of hosts, devices and documents, and letters next to digits, in any language."""

import re
from collections.abc import Callable, Mapping

from services.speech.text.alignment import Reading, Span

_DOMAINS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|co|app|dev|me|tv|cloud|shop|site|online|tech|xyz"
    "|cn|hk|tw|jp|kr|sg|in|uk|eu|de|fr|es|it|nl|ch|at|se|no|ru|us|ca|au|nz|br|mx|za"
)
FILES = (
    "pdf|txt|md|csv|json|xml|html?|js|ts|py|java|docx?|xlsx?|pptx?|png|jpe?g|gif|zip|exe|toml"
    "|ya?ml|ini|cfg|conf|log|sh|bat|sql|css|svg|mp[34]|wav|mov|avi|rar|gz|tar|iso|epub|rtf|tsv"
    "|rs|rb|cpp|php|swift|ipynb|webp|apk|dmg"
)
_HOST = r"[\w-]{1,63}+(?:\.[\w-]{1,63}+)"
ADDRESS = (
    rf"(?:(?P<scheme>(?:https?|s?ftp|wss?|ssh|git|file)://|mailto:)|(?<![\w@./-]))(?P<www>www\.)?"
    rf"(?P<host>(?P<user>[\w.+-]{{1,64}}+@)?(?(scheme){_HOST}{{0,8}}+|{_HOST}{{1,8}}+))(?![\w@])"
    r"(?P<path>(?::\d{1,5})?(?:[/?#](?:[\w/?#%&=+.,:;~@!$*'()-]{0,2000}[\w/=])?)?)"
)
"""With or without a scheme; what follows the host is not spoken."""

DEVICE = (
    r"(?<![\w.:-])(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}"
    r"|(?=[\d.]*[A-Fa-f])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w:-]|\.\w)"
)
"""Of a network's device: 00:1A:2B:3C:4D:5E, or 001a.2b3c.4d5e."""

DOCUMENT = r"(?<![\w./])10\.\d{4,9}/(?=[\w./()-]*[A-Za-z])(?=[\w./()-]*\d)[\w./()-]*\w"
"""A digital object identifier (DOI), whose second part has letters and digits."""

_IDENTIFIER_PART = re.compile(r"\d+|[A-Za-z]+|[^\w]|_", re.ASCII)
_HOST_PART = re.compile(r"\d+|[@.+_-]|[A-Za-z]+", re.ASCII)
_KNOWN_ENDING = re.compile(rf"\.(?:{_DOMAINS}|{FILES})$", re.IGNORECASE)


def _is_address(match: re.Match[str]) -> bool:
    """Whether a match of ADDRESS is an address, not two sentences without a space between them."""
    has_sign = match["scheme"] or match["www"] or match["user"]
    ending = _KNOWN_ENDING.search(match["host"])
    is_known = ending and (ending[0].islower() or match["host"].isupper())
    return bool(has_sign or is_known)


def read_address(
    match: re.Match[str],
    *,
    signs: Mapping[str, str],
    digits: Callable[[str, Span], Reading],
) -> Reading | None:
    """Read the host of a match of ADDRESS; None if it is no address."""
    if not _is_address(match):
        return None
    start, end = match.span("host")
    said: list[tuple[str, Span]] = []
    if match.start() < start:
        said.append(("", (match.start(), start)))
    for run in _HOST_PART.finditer(match.string, start, end):
        if run[0].isdigit():
            said.extend(digits(match.string, run.span()))
        else:
            said.append((signs.get(run[0], run[0]), run.span()))
    if end < match.end():
        said.append(("", (end, match.end())))
    return said


def read_device(
    match: re.Match[str], *, digit: Callable[[str], str], space: str, pause: str
) -> Reading:
    """Read a match of DEVICE sign by sign, with a space before digits and a pause before groups."""
    said: list[tuple[str, Span]] = []
    end = match.start()
    lead: str | None = ""
    for at, sign in enumerate(match[0], start=match.start()):
        if not sign.isalnum():
            lead = pause
            continue
        words = digit(sign) if sign.isdigit() else sign.upper()
        gap = space if sign.isdigit() else " "
        said.append(((gap if lead is None else lead) + words, (end, at + 1)))
        end, lead = at + 1, None
    return said


def read_document(
    match: re.Match[str],
    *,
    signs: Mapping[str, str],
    digits: Callable[[str, Span], Reading],
) -> Reading:
    """Read a match of DOCUMENT with its signs."""
    said: list[tuple[str, Span]] = []
    for run in _IDENTIFIER_PART.finditer(match.string, *match.span()):
        if run[0].isdigit():
            said.extend(digits(match.string, run.span()))
        else:
            said.append((signs.get(run[0]) or spelled(run[0]), run.span()))
    return said


def spelled(letters: str) -> str:
    """Return letters as they are said next to digits: spelled out unless they form a word."""
    has_vowel = bool(set("aeiouyAEIOUY") & set(letters[letters[0].isupper() :]))
    is_word = len(letters) > 3 and (has_vowel or not letters.isupper())
    is_cased = letters[0].islower() and has_vowel
    is_plain = letters.islower() and len(letters) > 2 and has_vowel
    if len(letters) == 1 or is_word or is_cased or is_plain or letters.istitle():
        return letters
    return " ".join(letters)
