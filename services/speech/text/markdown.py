"""Reads Markdown and leaves its marks out; each character that is left knows where it stands."""

import re
from collections.abc import Iterator, Sequence

import pyromark

from services.speech.text.alignment import Span, Spoken, join
from services.speech.text.segmentation import is_cjk

_OPTIONS = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_TASKLISTS
_INLINE = frozenset(("Emphasis", "Strong", "Link", "Image"))
_PAUSES = {"TableCell": ","} | dict.fromkeys(
    ("Paragraph", "Heading", "Item", "CodeBlock", "HtmlBlock", "TableHead", "TableRow"), "."
)
"""What the end of a block sounds like."""

_LIST_NUMBER = re.compile(r"\s*(\d{1,9}[.)])\s?", re.ASCII)
_MORE_THAN = re.compile(r">(?= ?=|[0-9$€£¥])")
"""No quotation: >100, >= 5."""
_TAG = re.compile(r"<!--.*?(?:-->|$)|</?[A-Za-z][^<>]*>|<[!?][^>]*>", re.DOTALL)
_BREAK = re.compile(r"<br\b", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(r"\w")
_OPERATOR = re.compile(r"\*{1,2}")
_OPERAND_BEFORE = re.compile(r"[0-9]$|(?<![A-Za-z0-9])[A-Za-z]$")
_OPERAND_BEHIND = re.compile(r"[0-9]|[A-Za-z](?![A-Za-z0-9])")
_BY_NAME = {",": "，", ".": "。"}

_Leaf = tuple[str, Span]
"""What is read, and where it stands; a pause has no place of its own."""

_NOWHERE: Span = (0, 0)


def without_markup(text: str) -> Spoken:
    """Return a text without its markup; it may be a part that was cut anywhere.

    A list's numbers are kept, as a sentence may begin so too. So are a code's words, a link's, an
    image's, and whatever a definition of a link says: only addresses and languages of code go.
    """
    text = _SURROGATE.sub("\ufffd", text)
    pieces: list[Spoken] = []
    pause, end = "", 0
    for said, (start, stop) in _leaves(text):
        if start == stop:
            pause = max(pause, said)
            continue
        gap = (end, start)
        if _is_operator(text, gap):
            pieces.append(_placed(text, text[slice(*gap)], gap))
        elif pause and pieces:
            pieces.append(_pause(pause, pieces[-1], gap))
        pieces.append(_placed(text, said, (start, stop)))
        pause, end = "", stop
    return join(pieces)


def _leaves(text: str) -> Iterator[_Leaf]:
    """What is read, in order; nothing that has a letter or a digit is left out between blocks."""
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
            case {"InlineHtml": str(tag)}:
                if _BREAK.match(tag):
                    yield ".", _NOWHERE
                end = stop
            case "SoftBreak":
                yield " ", (start, stop)
            case "HardBreak":
                yield ".", _NOWHERE
            case {"Start": tag} if _name(tag) not in _INLINE:
                yield from _lost(text, (end, start))
                yield ("," if _name(tag) == "TableCell" else "."), _NOWHERE
                end = max(end, start)
                if _name(tag) == "BlockQuote" and _MORE_THAN.match(text, start):
                    yield ">", (start, start + 1)
                if _name(tag) == "Item" and (number := _LIST_NUMBER.match(text, start, stop)):
                    yield number[0].lstrip(), (number.start(1), number.end())
                    end = number.end()
            case {"End": tag}:
                if _name(tag) not in _INLINE | {"CodeBlock"}:
                    yield from _lost(text, (end, stop))
                if pause := _PAUSES.get(_name(tag)):
                    yield pause, _NOWHERE
                end = max(end, stop)
    yield from _lost(text, (end, len(text)))


def _characters(text: str) -> Sequence[int]:
    """Return which character begins at a byte, as the parser counts bytes of UTF-8."""
    if text.isascii():
        return range(len(text) + 1)
    at = [index for index, each in enumerate(text) for _ in each.encode()]
    return [*at, len(text)]


def _name(tag: object) -> str:
    return tag if isinstance(tag, str) else next(iter(tag), "") if isinstance(tag, dict) else ""


def _lost(text: str, gap: Span) -> Iterator[_Leaf]:
    """What the parser keeps for itself, such as `[note]: where`."""
    if _WORD.search(text, *gap):
        yield text[slice(*gap)], gap
        yield ".", _NOWHERE


def _outside_tags(text: str, place: Span) -> Iterator[_Leaf]:
    start, stop = place
    for tag in _TAG.finditer(text, start, stop):
        if start < tag.start():
            yield text[start : tag.start()], (start, tag.start())
        start = tag.end()
    if start < stop:
        yield text[start:stop], (start, stop)


def _is_operator(text: str, gap: Span) -> bool:
    """Whether what looks like emphasis is a sign between operands: 6*7 and 8*9."""
    start, stop = gap
    if not start < stop or not _OPERATOR.fullmatch(text, start, stop):
        return False
    is_behind_one = _OPERAND_BEFORE.search(text[max(0, start - 2) : start])
    return bool(is_behind_one and _OPERAND_BEHIND.match(text, stop))


def _placed(text: str, said: str, place: Span) -> Spoken:
    start, stop = place
    if len(said) == stop - start:
        return Spoken(text=said, spans=tuple((at, at + 1) for at in range(start, stop)))
    return Spoken(text=said, spans=(place,) * len(said))  # a character that is written by its name


def _pause(mark: str, last: Spoken, gap: Span) -> Spoken:
    """A mark and a space behind what ends without one."""
    ending = last.text.rstrip()[-1:]
    if is_cjk(ending):
        said = _BY_NAME[mark]
    else:
        said = f"{mark} " if ending.isalnum() or ending in "%°)]\"'”’$€£" else " "
    place = gap if gap[0] < gap[1] else last.spans[-1]
    return Spoken(text=said, spans=(place,) * len(said))
