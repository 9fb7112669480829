"""Splits a reply into speakable segments while it is being written.

The first segment is emitted at the mark that ends it: whether a full stop ends a sentence is
decided by the text before it and the rest of its own token. Only after a number or within an
address, which the mark may be part of, does the splitter wait for the next character. Later
segments are not urgent: there a full stop always waits for it.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum, auto

from services.speech.streams import closing

SENTENCE_MARKS = frozenset("。！？!?.\n")
PARAGRAPH = "\n\n"
"""Ends a segment of any length."""
CLAUSE_MARKS = frozenset("，、；：,;:—…")
# In Latin text these also occur inside words and numbers: 3.5, 10:30, 1,000, example.com.
ASCII_INNER_MARKS = frozenset(".,:")
# After a number, these may be part of it or separate it from the next: 1,000, 9：30, 110、119.
NUMBER_MARKS = frozenset(".,:：、—")
CLOSERS = frozenset("\"'”’)）]】」』》*_")

ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "messrs", "dr", "prof", "sr", "jr", "st", "vs", "etc", "approx", "dept",
     "capt", "gen", "sgt", "lt", "col", "rev", "gov", "sen", "hon", "mt", "ft", "ave", "blvd", "rd",
     "inc", "ltd", "corp", "tel", "ext", "est", "bldg", "cf", "viz", "incl", "excl", "esp",
     "ph", "tsp", "tbsp", "oz", "lb", "lbs")
)  # fmt: skip
ABBREVIATIONS_OF_NUMBERS = frozenset(
    ("no", "nos", "p", "pp", "fig", "figs", "vol", "ch", "sec", "eq", "art", "apt", "ste", "rm",
     "hwy", "ver", "pt", "ep", "max", "min", "avg", "ca", "jan", "feb", "mar", "apr", "jun",
     "jul", "aug", "sep", "sept", "oct", "nov", "dec")
)  # fmt: skip
"""Also words of their own, so it depends on a number that follows: No. 5, but: The answer is no."""
_LAST_WORD = re.compile(r"[^\s(\[\"“]+$")
_ADDRESS = re.compile(
    r"@|://|^www|^(?:https?|mailto|ftp)$|^[~./\\]|\w[/\\]\w+[/\\.]|\w\.[a-z]{2,}", re.IGNORECASE
)
"""The beginning of an address or a path."""
_LINK = re.compile(r"\]\([^\s)]*$")
"""Where a link of Markdown leads."""
_LONGEST_LINK = 500
"""Characters of a link within which no segment ends."""
_ENTITY = re.compile(r"&#?\w{1,10}$")
_SPOKEN = re.compile(r"\w")
CJK = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""The scripts without spaces, as the content of a regular expression's character class."""
_CJK = re.compile(f"[{CJK}]")


class Boundary(Enum):
    """How strong a boundary is; OPEN while that depends on the next character."""

    NONE = auto()
    OPEN = auto()
    CLAUSE = auto()
    SENTENCE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Characters [start, end) of the reply, which `text` repeats."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """When a mark ends a segment, in seconds of estimated speech."""

    sentence_s: float
    """A sentence mark ends a segment of at least this length."""
    clause_s: float
    """A clause mark ends a segment of at least this length."""
    longest_s: float
    """A segment is cut at its last clause, else at a space, before it exceeds this length."""


FIRST = Lengths(sentence_s=1.5, clause_s=1.5, longest_s=5.0)
"""The first segment is short, but long enough for the second to be ready when it ends."""

SECOND = Lengths(sentence_s=2.0, clause_s=3.0, longest_s=8.0)
LATER = Lengths(sentence_s=2.0, clause_s=6.0, longest_s=9.0)


def is_cjk(character: str) -> bool:
    """Whether a character is one of a script without spaces."""
    return _CJK.match(character) is not None


def count_cjk(text: str) -> int:
    """Return how many characters of a text are of scripts without spaces."""
    return len(_CJK.findall(text))


def has_cjk(text: str) -> bool:
    """Whether a text contains a character of a script without spaces."""
    return _CJK.search(text) is not None


def speech_s(text: str) -> float:
    """Return the estimated duration of a text in speech."""
    return sum(_character_s(character) for character in text)


def _character_s(character: str) -> float:
    if is_cjk(character):
        return 0.2
    if character.isdigit():
        return 0.25
    return 0.065 if character.isalnum() or character.isspace() else 0.1


class Splitter:
    """Turns the pieces of a reply into segments, with their offsets in the whole reply."""

    def __init__(self) -> None:
        self._pending = ""
        self._start = 0
        self._scanned = 0
        self._seconds = 0.0
        self._clause_end = 0
        self._has_words = False
        self._emitted = 0

    def feed(self, delta: str) -> list[Segment]:
        """Return the segments that this piece completes."""
        self._pending += delta
        segments = []
        while (end := self._next_end()) is not None:
            segments.append(self._take(end))
        return segments

    def flush(self) -> list[Segment]:
        """Return the rest at the end of the reply, if any of it can be spoken."""
        return [self._take(len(self._pending))] if _SPOKEN.search(self._pending) else []

    @property
    def _lengths(self) -> Lengths:
        return (FIRST, SECOND)[self._emitted] if self._emitted < 2 else LATER

    def _next_end(self) -> int | None:
        """Return where the next segment ends, or None while that is undecided."""
        while self._scanned < len(self._pending):
            index = self._scanned
            # Until there is a word, there is nothing that could end.
            boundary = boundary_at(self._pending, index) if self._has_words else Boundary.NONE
            if boundary is Boundary.OPEN or self._can_wait(index):
                return None
            self._scanned += 1
            self._seconds += _character_s(self._pending[index])
            if not self._has_words:
                self._has_words = _SPOKEN.match(self._pending, index) is not None
            elif boundary is not Boundary.NONE:
                end = self._after_closers(index + 1)
                is_sentence = boundary is Boundary.SENTENCE
                lengths = self._lengths
                if self._pending[:end].endswith(PARAGRAPH):
                    return end
                if self._seconds >= (lengths.sentence_s if is_sentence else lengths.clause_s):
                    return end
                self._clause_end = end
            elif self._seconds > self._lengths.longest_s:
                cut = self._clause_end or self._last_space(index) or self._hard_cut(index)
                if cut:
                    return cut
        return None

    def _can_wait(self, index: int) -> bool:
        """Whether a full stop may prove a point of a name, and nobody waits for its segment."""
        return self._emitted > 0 and self._pending[index:] == "."

    def _after_closers(self, end: int) -> int:
        while end < len(self._pending) and self._pending[end] in CLOSERS:
            end += 1
        return end

    def _last_space(self, index: int) -> int:
        """Return the start of the last word without a number next to it, else of the last word."""
        spaces = [
            at
            for at in range(index)
            if self._pending[at] == " " and not _is_in_link(self._pending, at)
        ]
        plain = [at for at in spaces if not _has_digit(self._pending[at - 1 : at + 2])]
        for at in (*plain[-1:], *spaces[-1:]):
            if _SPOKEN.search(self._pending, 0, at):
                return at + 1
        return 0

    def _hard_cut(self, index: int) -> int:
        """Cut between two characters of a script without spaces, or within an absurd word."""
        is_between = is_cjk(self._pending[index]) and not _has_digit(self._pending[index - 1])
        most = 4 if _is_in_link(self._pending, index) else 2
        is_absurd = self._seconds > most * self._lengths.longest_s
        return index if is_between or is_absurd else 0

    def _take(self, end: int) -> Segment:
        raw = self._pending[:end]
        text = raw.strip()
        start = self._start + len(raw) - len(raw.lstrip())
        self._pending = self._pending[end:]
        self._start += end
        self._scanned, self._seconds, self._clause_end = 0, 0.0, 0
        self._has_words = False
        self._emitted += 1
        return Segment(text=text, start=start, end=start + len(text))


def boundary_at(text: str, index: int) -> Boundary:
    """Return how strong a boundary a character is; what follows it may be unknown."""
    character = text[index]
    boundary = Boundary.SENTENCE if character in SENTENCE_MARKS else Boundary.CLAUSE
    if boundary is Boundary.CLAUSE and character not in CLAUSE_MARKS:
        return Boundary.NONE
    if character == "\n":
        return boundary
    line = text[:index].rpartition("\n")[2]
    word = found.group() if (found := _LAST_WORD.search(line)) else ""
    following = text[index + 1 : index + 3]
    if word[-1:].isdigit() and character in NUMBER_MARKS:
        return _boundary_after_number(character, line, following, boundary)
    if not character.isascii():
        return boundary
    if _ADDRESS.search(word) or _LINK.search(line):
        return _unless_continued(following, boundary)
    if character in ASCII_INNER_MARKS and following and _continues(following[0]):
        return Boundary.NONE
    if character == ";" and _ENTITY.search(word):
        return Boundary.NONE
    if character == "!" and not word.strip("[(*_"):
        return _unless_continued(following, boundary)  # An image of Markdown may begin.
    if character == "." and word.lower() in ABBREVIATIONS_OF_NUMBERS:
        return _unless_a_number_follows(following, boundary)
    return Boundary.NONE if character == "." and _is_abbreviated(word) else boundary


def _boundary_after_number(
    character: str, line: str, following: str, boundary: Boundary
) -> Boundary:
    """Decide after a number: a decimal, a time, a date or a list may continue after the mark."""
    if character != "." and character != ":":
        after_space = _unless_a_number_follows(following, boundary)
        if after_space is not boundary or not character.isascii():
            return after_space
    if following and _is_list_number(line):
        return Boundary.NONE
    return _unless_continued(following, boundary)


def _unless_continued(following: str, boundary: Boundary) -> Boundary:
    if not following:
        return Boundary.OPEN
    return Boundary.NONE if _continues(following[0]) else boundary


def _unless_a_number_follows(following: str, boundary: Boundary) -> Boundary:
    """Decide by the next character, or by the one after a space."""
    rest = following.removeprefix(" ")
    if not rest:
        return Boundary.OPEN
    return Boundary.NONE if rest[0].isdigit() else boundary


def clause_start(text: str, at: int) -> int:
    """Return the start of the clause that contains the character before `at`."""
    for index in range(min(at, len(text)) - 1, -1, -1):
        if boundary_at(text, index) in (Boundary.CLAUSE, Boundary.SENTENCE):
            end = index + 1
            while end < len(text) and (text[end] in CLOSERS or text[end].isspace()):
                end += 1
            return end
    return 0


def _is_in_link(text: str, at: int) -> bool:
    """Whether a link of Markdown is open before a character: its words, or its address."""
    start = max(0, at - _LONGEST_LINK)
    words, address = text.rfind("[", start, at), text.rfind("](", start, at)
    is_in_words = words >= 0 and text.find("]", words, at) < 0
    return is_in_words or (address >= 0 and text.find(")", address, at) < 0)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _continues(following: str) -> bool:
    return not following.isspace() and following not in CLOSERS


def _is_list_number(line: str) -> bool:
    return line.strip().isdigit()


def _is_abbreviated(word: str) -> bool:
    """Whether a full stop belongs to the word before it: Dr. J. e.g."""
    is_initial = len(word) == 1 and word.isalpha() and not is_cjk(word) and word != "I"
    return not word or is_initial or word.lower() in ABBREVIATIONS or "." in word


async def split(deltas: AsyncIterator[str]) -> AsyncIterator[Segment]:
    """Yield the segments of a reply as its deltas complete them."""
    splitter = Splitter()
    async with closing(deltas):
        async for delta in deltas:
            for segment in splitter.feed(delta):
                yield segment
    for segment in splitter.flush():
        yield segment
