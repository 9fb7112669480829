"""What recognisers write beside the words: names of sounds, moods, languages and speakers."""

import re
import unicodedata

from services.speech.text.segmentation import is_cjk

_TAGS = re.compile(
    r"^\s*language \w+\s*(?=<asr_text>)"  # Before the mark that says which language it is.
    r"|<(?!\s)[^<>]{0,60}(?<!\s)>"  # <|zh|>, <unk>, <sil>
    r"|\d\d:\d\d:\d\d[.,]\d{3}\s*-->\s*\d\d:\d\d:\d\d[.,]\d{3}"  # When a subtitle is shown
    r"|%[a-z]{2,12}%"
    r"|\[[^\[\]]*(?:\]|$)"  # [BLANK_AUDIO]; a recogniser may break off within one
    r"|【[^【】]*(?:】|$)|［[^［］]*(?:］|$)|〔[^〔〕]*(?:〕|$)|\{[^{}]*(?:\}|$)"
    r"|\((?![\d\s+./-]+\))[^()]*(?:\)|$)"  # (laughter), but not the (555) of a number
    r"|（(?![\d\s+./-]+）)[^（）]*(?:）|$)"
    r"|(?<![\w*])\*[^*\d]{1,60}\*(?![\w*])"  # *coughs*
    r"|[♩♪♫♬🎵🎶][^♩♪♫♬🎵🎶]*(?:[♩♪♫♬🎵🎶]|$)"  # What is sung
    r"|^\s*>>+"  # Another speaker
    r"|\bBLANK_AUDIO\b|[⁇�▁]"
)
_NESTED = 4
_LETTER = re.compile(r"[^\W_]")
_KEPT_SYMBOLS = frozenset("°℃℉№")
_EMOJI_STYLE = "\ufe0f"


def without_annotations(text: str) -> str:
    """Return the words of a transcript alone; empty when it has none."""
    words = text
    for _ in range(_NESTED):
        stripped = _TAGS.sub(_gap, words)
        if stripped == words:
            break
        words = stripped
    if words != text:
        words = re.sub(r"\s+(?=[,.;:!?，。、；：！？])", "", re.sub(r"\s+", " ", words))
        words = words.lstrip(" ,.;:!?，。、；：！？-–—")
    words = "".join(each for each in words if not _is_ornament(each)).strip()
    return words if _LETTER.search(words) else ""


def _gap(tag: re.Match[str]) -> str:
    """Return what replaces a tag: nothing within a script without spaces."""
    before, after = tag.string[: tag.start()][-1:], tag.string[tag.end() :][:1]
    return "" if before and after and is_cjk(before) and is_cjk(after) else " "


def _is_ornament(character: str) -> bool:
    """Whether it is an emoji or the like, with which some recognisers denote moods and sounds."""
    if character in _KEPT_SYMBOLS:
        return False
    return unicodedata.category(character) in ("So", "Co", "Cn") or character == _EMOJI_STYLE
