"""Makes written text fit to be spoken: no markup, no emoji, numbers and signs as words."""

import html
import re
import unicodedata

from services.speech.text import chinese, english
from services.speech.text.alignment import Reading, Spoken, rewrite, rule, words
from services.speech.text.markdown import without_markup
from services.speech.text.segmentation import is_cjk

_LATIN_WORD = re.compile("[A-Za-z]{2,}")
_SOME_LATIN_WORDS = 3
_FULL_WIDTH_SIGNS = frozenset("％＋－＝＊／＄＆＠＃＜＞｜．")


def _pause(match: re.Match[str]) -> str:
    """Return the pause between the cells of a row, unless there is one already."""
    ending = match.string[max(0, match.start() - 1) : match.start()]
    return ", " if ending.isalnum() or (ending in ")%°\"'" and ending) else " "


def _space(match: re.Match[str]) -> Reading:
    """Return the space between two words; before a mark there is none."""
    end = match.start(1) if match[1] else match.end()
    return [("" if match[1] else " ", (match.start(), end))]


_UNSPEAKABLE = (
    # A model's control tokens.
    words(r"<[|｜][^<>\s]{1,40}[|｜]>(?:(?:system|user|assistant)(?=\s|$))?", ""),
    words(r"</?(?:s|eos|bos|pad|unk|(?:start|end)_of_(?:turn|text))>(?:(?:user|model)\b)?", ""),
    words(r"<[|｜]\w{0,40}$|\[/?(?:INST|SYS)\]|<</?SYS>>|\[(?:BOS|EOS|PAD|UNK|SEP|CLS)\]", ""),
    # An entity that was written twice.
    rule(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6});", lambda match: html.unescape(match[0])),
    # The line below a table's head, when it was cut off from its head.
    words(r"\|[ |:-]*-[ |:-]*\||^[|:-]*--[|:-]*$", " "),
    # Pictures. What counts and is in a circle is a number.
    words(
        "[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2500-\u2775\u2794-\u27bf\u2b00-\u2bff"
        "\u200b-\u200f\u2060\ufeff\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]+",
        "",
    ),
)
_LEFT_OVER = (
    rule(r"(?<!\s)\s*[|•·][|•·\s]*", _pause),
    words(r"\s--+\s", ", "),
    words(r"/+", " "),
    words(r"\$(?=[A-Za-z])", ""),
    words(r"(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])|[*`~^\\#<>{}=]+|-{2,}", ""),
)
_SPACES = (rule(r"\s++([.,!?;:，。！？；：、])?", _space),)
_BESIDE_SPEECH = " ,，"


def speakable(text: str, language_code: str) -> Spoken:
    """Return what a voice says for a piece of text; may be empty."""
    spoken = rewrite(_folded(without_markup(text)), _UNSPEAKABLE)
    rules = chinese.RULES if _is_chinese(spoken.text, language_code) else english.RULES
    spoken = rewrite(rewrite(spoken, rules), _LEFT_OVER)
    return _stripped(rewrite(spoken, _SPACES))


def _is_chinese(text: str, language_code: str) -> bool:
    """Whether numbers are read in Chinese: the text itself tells if it is of one language."""
    han = sum(map(is_cjk, text))
    latin_words = len(_LATIN_WORD.findall(text))
    if language_code.partition("-")[0].lower() == "zh":
        return han > 0 or latin_words < _SOME_LATIN_WORDS
    return han > latin_words


def _folded(spoken: Spoken) -> Spoken:
    """Put plain digits, letters, signs and spaces for those of another width or script."""
    return Spoken(text="".join(map(_fold, spoken.text)), spans=spoken.spans)


def _fold(character: str) -> str:
    if character.isascii():
        return character
    if character.isspace():
        return " "
    if character.isdecimal() or "\u2080" <= character <= "\u2089":
        return str(unicodedata.digit(character))
    is_wide = "\uff21" <= character <= "\uff5a" or character in _FULL_WIDTH_SIGNS
    return unicodedata.normalize("NFKC", character) if is_wide else character


def _stripped(spoken: Spoken) -> Spoken:
    start = len(spoken.text) - len(spoken.text.lstrip(_BESIDE_SPEECH))
    return spoken.part(start, max(start, len(spoken.text.rstrip(_BESIDE_SPEECH))))
