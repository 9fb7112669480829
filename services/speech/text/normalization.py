"""Text normalization for speech: removes markup and emoji, turns numbers and signs into words."""

import re
import unicodedata

from services.speech.text import chinese, english
from services.speech.text.alignment import Reading, SpokenForm, join, replace, rewrite, rule
from services.speech.text.latex import without_latex
from services.speech.text.markdown import without_markup
from services.speech.text.mixture import parts
from services.speech.text.unspoken import UNSPOKEN, without_directions

_GRAMMARS = {"en": english.RULES, "zh": chinese.RULES}
_FOLDED = re.compile("[^\x00-\x7f₀-₉]+|[₀-₉]+(?![₀-₉0-9])")
_FULL_WIDTH_SIGNS = frozenset("％＋－＝＊／＄＆＠＃＜＞｜．")


def _pause(match: re.Match[str]) -> str:
    """Return a pause between the cells of a row, unless there is one already."""
    ending = match.string[max(0, match.start() - 1) : match.start()]
    return ", " if ending.isalnum() or (ending in ")%°\"'" and ending) else " "


def _space(match: re.Match[str]) -> Reading:
    """Return the space between two words; there is none before a mark."""
    end = match.start(1) if match[1] else match.end()
    return [("" if match[1] else " ", (match.start(), end))]


_LEFTOVERS = (
    rule(r"(?<!\s)\s*[|•·][|•·\s]*", _pause),
    replace(r"\s--+\s", ", "),
    replace(r"/+|(?<=[\w:])\\+(?=\w)", " "),
    replace(r"\$(?!\d)", ""),
    replace(r"(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])|[*`~^\\#<>{}=]+|-{2,}", ""),
)
_MARKS = ".,!?;:，。！？；：、"
# All but a single space between two words, which is one already.
_SPACES = (rule(rf"(?! (?:[^\s{_MARKS}]|\Z))\s++([{_MARKS}])?", _space),)
_COMMAS = (",", "，")
_EDGE_CHARACTERS = " ,，"


def speakable(text: str, language_code: str) -> SpokenForm:
    """Return the spoken form of a piece of text, which may be empty."""
    spoken = without_latex(_fold_width(without_markup(without_directions(text))))
    spoken = rewrite(spoken, UNSPOKEN)
    spoken = join(
        rewrite(spoken.part(*place), _GRAMMARS[language])
        for place, language in parts(spoken.text, language_code)
    )
    return _strip(rewrite(rewrite(spoken, _LEFTOVERS), _SPACES))


def captioned(spoken: str, written: str) -> str:
    """Return a spoken form as captions show it: with the comma that parts it from what follows."""
    mark = written.rstrip()[-1:]
    return spoken + mark if mark in _COMMAS and spoken[-1:].isalnum() else spoken


def _fold_width(spoken: SpokenForm) -> SpokenForm:
    """Replace digits, letters, signs and spaces of another width or script with plain ones.

    A subscript before a digit stays one: log₂8 is not log 28.
    """
    text = _FOLDED.sub(lambda match: "".join(map(_fold_character, match[0])), spoken.text)
    return SpokenForm(text=text, spans=spoken.spans)


def _fold_character(character: str) -> str:
    if character.isascii():
        return character
    if character.isspace():
        return " "
    if character.isdecimal() or "\u2080" <= character <= "\u2089":
        return str(unicodedata.digit(character))
    is_wide = "\uff21" <= character <= "\uff5a" or character in _FULL_WIDTH_SIGNS
    return unicodedata.normalize("NFKC", character) if is_wide else character


def _strip(spoken: SpokenForm) -> SpokenForm:
    start = len(spoken.text) - len(spoken.text.lstrip(_EDGE_CHARACTERS))
    return spoken.part(start, max(start, len(spoken.text.rstrip(_EDGE_CHARACTERS))))
