"""Strips Markdown; every character that remains is mapped to its place in the source."""

import re
from collections.abc import Iterator, Sequence

import pyromark

from services.speech.text.alignment import Span, SpokenForm, each_from, join
from services.speech.text.segmentation import is_cjk

_OPTIONS = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_TASKLISTS
_INLINE = frozenset(("Emphasis", "Strong", "Link", "Image"))
_PAUSES = {"TableCell": ","} | dict.fromkeys(
    ("Paragraph", "Heading", "Item", "CodeBlock", "HtmlBlock", "TableHead", "TableRow"), "."
)
"""What the end of a block sounds like."""

_LIST_NUMBER = re.compile(r"\s*(\d{1,9}[.)])\s?", re.ASCII)
_MORE_THAN = re.compile(r">(?= ?=|[0-9$€£¥])")
"""Not a quotation: >100, >= 5."""
_TAG = re.compile(
    r"<!--.*?(?:-->|$)|<(script|style)\b.*?(?:</\1>|$)|</?[A-Za-z][^<>]*>|<[!?][^>]*>",
    re.DOTALL | re.IGNORECASE,
)
_BLOCK = re.compile(
    r"</?(?:br|p|div|li|ul|ol|dl|d[dt]|h[1-6]|tr|table|section|article|header|footer|main|hr"
    r"|blockquote|details|summary|pre|figure|figcaption)\b",
    re.IGNORECASE,
)
_CELL = re.compile(r"</?t[dh]\b", re.IGNORECASE)
_SUPERSCRIPT = re.compile(r"<sup>(?=\d{1,3}</sup>)", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(r"\w")
_OPERATOR = re.compile(r"\*{1,2}")
_OPERAND_BEFORE = re.compile(r"[0-9]$|(?<![A-Za-z0-9])[A-Za-z]$")
_OPERAND_AFTER = re.compile(r"[0-9]|[A-Za-z](?![A-Za-z0-9])")
_CHINESE_PAUSES = {",": "，", ".": "。"}

_Piece = tuple[str, Span]
"""A text and its place in the source; a pause has no place of its own."""

_NOWHERE: Span = (0, 0)


def without_markup(text: str) -> SpokenForm:
    """Return a text without its markup; the text may be cut off anywhere.

    List numbers are kept, since a sentence may begin with one. So are the words of code, links,
    images and link definitions: only addresses and code languages are dropped.
    """
    text = _SURROGATE.sub("\ufffd", text)
    pieces: list[SpokenForm] = []
    pause, end = "", 0
    for said, (start, stop) in _pieces(text):
        if start == stop:
            pause = max(pause, said)
            continue
        gap = (end, start)
        if _is_operator(text, gap):
            pieces.append(_aligned(text, text[slice(*gap)], gap))
        elif pause and pieces:
            pieces.append(_pause(pause, pieces[-1], gap))
        pieces.append(_aligned(text, said, (start, stop)))
        pause, end = "", stop
    return join(pieces)


def _pieces(text: str) -> Iterator[_Piece]:
    """Yield what is read, in order; nothing with a letter or digit is lost between blocks."""
    end = 0
    character = _characters(text)
    for event, place in pyromark.events_with_range(text, options=_OPTIONS):
        start, stop = character[place["start"]], character[place["end"]]
        match event:
            case {"Text": str(said)}:
                yield said, (start, stop)
                end = stop
            case {"Code": str(said)}:
                inner = text[start:stop].strip("`")
                at = text.index(inner, start) + (len(inner) - len(said)) // 2
                yield said, (at, at + len(said))
                end = stop
            case {"Html": str()}:
                yield from _outside_tags(text, (start, stop))
                end = stop
            case {"InlineHtml": str()}:
                yield from _tag(text, (start, stop))
                end = stop
            case "SoftBreak":
                yield " ", (start, stop)
            case "HardBreak":
                yield ".", _NOWHERE
            case {"Start": tag} if _name(tag) not in _INLINE:
                yield from _unparsed(text, (end, start))
                yield ("," if _name(tag) == "TableCell" else "."), _NOWHERE
                end = max(end, start)
                if _name(tag) == "BlockQuote" and _MORE_THAN.match(text, start):
                    yield ">", (start, start + 1)
                if _name(tag) == "Item" and (number := _LIST_NUMBER.match(text, start, stop)):
                    yield number[0].lstrip(), (number.start(1), number.end())
                    end = number.end()
            case {"End": tag}:
                if _name(tag) not in _INLINE | {"CodeBlock"}:
                    yield from _unparsed(text, (end, stop))
                if pause := _PAUSES.get(_name(tag)):
                    yield pause, _NOWHERE
                end = max(end, stop)
    yield from _unparsed(text, (end, len(text)))


def _characters(text: str) -> Sequence[int]:
    """Return the character index of each UTF-8 byte, since the parser counts bytes."""
    if text.isascii():
        return range(len(text) + 1)
    at = [index for index, each in enumerate(text) for _ in each.encode()]
    return [*at, len(text)]


def _name(tag: object) -> str:
    return tag if isinstance(tag, str) else next(iter(tag), "") if isinstance(tag, dict) else ""


def _unparsed(text: str, gap: Span) -> Iterator[_Piece]:
    """Yield text that the parser consumes without an event, such as `[note]: where`."""
    if _WORD.search(text, *gap):
        yield text[slice(*gap)], gap
        yield ".", _NOWHERE


def _outside_tags(text: str, place: Span) -> Iterator[_Piece]:
    start, stop = place
    for tag in _TAG.finditer(text, start, stop):
        if start < tag.start():
            yield text[start : tag.start()], (start, tag.start())
        yield from _tag(text, tag.span())
        start = tag.end()
    if start < stop:
        yield text[start:stop], (start, stop)


def _tag(text: str, place: Span) -> Iterator[_Piece]:
    """Yield what an HTML tag sounds like: the pause between blocks, or the sign of a power."""
    if _BLOCK.match(text, *place):
        yield ".", _NOWHERE
    elif _CELL.match(text, *place):
        yield ",", _NOWHERE
    elif _SUPERSCRIPT.match(text, place[0]):
        yield "^", place


def _is_operator(text: str, gap: Span) -> bool:
    """Whether what looks like emphasis is an operator between operands: 6*7 and 8*9."""
    start, stop = gap
    if not start < stop or not _OPERATOR.fullmatch(text, start, stop):
        return False
    follows_operand = _OPERAND_BEFORE.search(text[max(0, start - 2) : start])
    return bool(follows_operand and _OPERAND_AFTER.match(text, stop))


def _aligned(text: str, said: str, place: Span) -> SpokenForm:
    start, stop = place
    if len(said) == stop - start:
        return SpokenForm(text=said, spans=each_from(start, stop))
    # An entity: one character's name.
    return SpokenForm(text=said, spans=(place,) * len(said))


def _pause(mark: str, last: SpokenForm, gap: Span) -> SpokenForm:
    """Return a mark and a space, to follow text that ends without a mark."""
    ending = last.text.rstrip()[-1:]
    if is_cjk(ending):
        said = _CHINESE_PAUSES[mark]
    else:
        said = f"{mark} " if ending.isalnum() or ending in "%°)]\"'”’$€£" else " "
    place = gap if gap[0] < gap[1] else last.spans[-1]
    return SpokenForm(text=said, spans=(place,) * len(said))
