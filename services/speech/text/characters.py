"""Characters that can be read: vendors also send halves of characters, and some that are none."""

import re

_HIGH_SURROGATES = ("\ud800", "\udbff")
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffd-\uffff\ud800-\udfff]")
"""Controls but white space, byte order marks, what stands for lost characters, and surrogates."""


def readable(text: str) -> str:
    """Return a text that can be encoded: halves that belong together are one character.

    JSON writes characters beyond the first 65,536 as two surrogates. A vendor that cuts between
    them leaves halves, which neither protobuf nor a database takes; nor does every database take
    a NUL.
    """
    if not _UNREADABLE.search(text):
        return text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _UNREADABLE.sub("", whole)


def half_at_end(text: str) -> str:
    """Return the first half of a character whose second may follow; empty if there is none."""
    last = text[-1:]
    return last if _HIGH_SURROGATES[0] <= last <= _HIGH_SURROGATES[1] else ""
