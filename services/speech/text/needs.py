"""Which characters a text must have for a pattern to match it: most rules need a digit or a sign.

The grammars have hundreds of rules, and most sentences are plain words: a rule whose characters are
not there is not tried. They are read off the pattern itself, so that no rule can name them wrongly.
"""

import re
import string
from collections.abc import Iterator, Sequence
from functools import lru_cache
from re import _constants as sre  # type: ignore[attr-defined,unused-ignore]
from re import _parser  # type: ignore[attr-defined,unused-ignore]
from typing import Any, TypeAlias

Characters: TypeAlias = int
"""A set of characters: a bit for each of ASCII, and one for all others."""

_OTHERS = 128


def _set(characters: str) -> Characters:
    found = 0
    for character in characters:
        found |= 1 << min(ord(character), _OTHERS)
    return found


ANY: Characters = (1 << _OTHERS + 1) - 1
_IN_MOST_SENTENCES = _set(string.ascii_letters + " ")
_IN_MANY_SENTENCES = _set(".,'!?-")
_CATEGORIES = {
    sre.CATEGORY_DIGIT: _set(string.digits),
    sre.CATEGORY_SPACE: _set(string.whitespace),
    sre.CATEGORY_WORD: _set(string.ascii_letters + string.digits + "_"),
}
_NEGATED_CATEGORIES = {
    sre.CATEGORY_NOT_DIGIT: ANY & ~_CATEGORIES[sre.CATEGORY_DIGIT],
    sre.CATEGORY_NOT_SPACE: ANY & ~_CATEGORIES[sre.CATEGORY_SPACE],
    sre.CATEGORY_NOT_WORD: ANY & ~_CATEGORIES[sre.CATEGORY_WORD],
}
_BY_CATEGORY = _CATEGORIES | _NEGATED_CATEGORIES


@lru_cache(maxsize=16)
def characters_of(text: str) -> Characters:
    """Return the characters of a text.

    Several grammars read one text, so the latest are kept.
    """
    return _set("".join(set(text)))


def needed_by(pattern: re.Pattern[str]) -> Characters:
    """Return characters of which every text that an ASCII pattern matches has one.

    Of several such sets, the one that the fewest sentences have a character of.
    """
    assert pattern.flags & re.ASCII, "a class such as \\d has other characters than ASCII ones"
    tree = _parser.parse(pattern.pattern, pattern.flags)
    return _rarest([*_needs(tree, pattern.flags), ANY])


def _rarest(needs: Sequence[Characters]) -> Characters:
    def commonness(need: Characters) -> tuple[bool, bool, int]:
        is_common = bool(need & _IN_MOST_SENTENCES), bool(need & _IN_MANY_SENTENCES)
        return *is_common, need.bit_count()

    return min(needs, key=commonness)


def _needs(tree: Any, flags: int) -> Iterator[Characters]:
    """Yield a set for each part of a pattern that cannot be left out; other parts need nothing."""
    for kind, content in tree:
        if kind is sre.LITERAL:
            yield _class([(kind, content)], flags)
        elif kind is sre.IN:
            yield _class(content, flags)
        elif kind is sre.SUBPATTERN:
            _, added, removed, part = content
            yield from _needs(part, (flags | added) & ~removed)
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            least, _, part = content
            if least:
                yield from _needs(part, flags)
        elif kind is sre.ATOMIC_GROUP:
            yield from _needs(content, flags)
        elif kind is sre.ASSERT:
            yield from _needs(content[1], flags)
        elif kind is sre.BRANCH:
            found = 0
            for part in content[1]:
                found |= _rarest([*_needs(part, flags), ANY])
            yield found


def _class(members: Any, flags: int) -> Characters:
    """Return the characters of a class."""
    found, is_negated = 0, False
    for kind, content in members:
        if kind is sre.NEGATE:
            is_negated = True
        elif kind is sre.LITERAL:
            found |= 1 << min(content, _OTHERS)
        elif kind is sre.RANGE:
            first, last = (min(each, _OTHERS) for each in content)
            found |= (1 << last + 1) - (1 << first)
        else:
            found |= _BY_CATEGORY[content]
    if flags & sre.SRE_FLAG_IGNORECASE:
        letters = (each for each in string.ascii_letters if found & _set(each))
        found |= _set("".join(letters).swapcase())
    return ANY & ~found | 1 << _OTHERS if is_negated else found
