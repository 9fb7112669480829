"""Cuts a reply into speakable segments while it is being written.

A segment leaves at the mark that ends it: whether a full stop ends a sentence is decided from
what stands before it, and from what its own token adds after it. Only behind a number, where the
mark may be a part of it, does the next character decide.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum, auto

from services.speech.streams import closing

SENTENCE_MARKS = frozenset("。！？!?.\n")
CLAUSE_MARKS = frozenset("，、；：,;:—…")
# In Latin text these stand inside of words and numbers too: 3.5, 10:30, 1,000, example.com.
INNER_MARKS = frozenset(".,:")
# These, behind a number, may stand within it or between it and the next: 1,000, 9：30, 110、119.
NUMBER_MARKS = frozenset(".,:：、—")
CLOSERS = frozenset("\"'”’)）]】」』》*_")

ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "vs", "etc", "approx", "dept", "capt",
     "gen", "sgt", "lt", "col", "rev", "gov", "sen", "mt", "ft", "ave", "blvd", "rd", "inc", "ltd",
     "corp", "tel", "ext", "est")
)  # fmt: skip
ABBREVIATIONS_OF_NUMBERS = frozenset(
    ("no", "nos", "p", "pp", "fig", "figs", "vol", "ch", "sec", "jan", "feb", "mar", "apr", "jun",
     "jul", "aug", "sep", "sept", "oct", "nov", "dec")
)  # fmt: skip
"""Words of their own too, so the number behind tells: No. 5, but: The answer is no."""
_LAST_WORD = re.compile(r"[^\s(\[\"“]+$")
_ADDRESS = re.compile(r"@|://|^www", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w{1,10}$")
_SPOKEN = re.compile(r"\w")
CJK = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""The scripts without spaces, as they stand in a set of a regular expression."""
_CJK = re.compile(f"[{CJK}]")


class Boundary(Enum):
    """How strongly a character separates; OPEN while that depends on the next character."""

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
    """A clause mark does so from this length on."""
    longest_s: float
    """A segment is cut at its last clause, else space, before it grows longer than this."""


FIRST = Lengths(sentence_s=1.5, clause_s=1.5, longest_s=5.0)
"""The first segment is short, yet long enough for the second to be ready when it ends."""

SECOND = Lengths(sentence_s=2.0, clause_s=3.0, longest_s=8.0)
LATER = Lengths(sentence_s=2.0, clause_s=6.0, longest_s=9.0)


def is_cjk(character: str) -> bool:
    """Whether a character is one of a script without spaces."""
    return _CJK.match(character) is not None


def speech_s(text: str) -> float:
    """Return about how long a text takes to say."""
    return sum(_character_s(character) for character in text)


def _character_s(character: str) -> float:
    if is_cjk(character):
        return 0.2
    if character.isdigit():
        return 0.25
    return 0.065 if character.isalnum() or character.isspace() else 0.1


class Splitter:
    """Takes a reply piece by piece and gives its segments; keeps offsets into the whole reply."""

    def __init__(self) -> None:
        self._pending = ""
        self._start = 0
        self._scanned = 0
        self._seconds = 0.0
        self._clause_end = 0
        self._emitted = 0

    def feed(self, delta: str) -> list[Segment]:
        """Return the segments that this piece completes."""
        self._pending += delta
        segments = []
        while (end := self._next_end()) is not None:
            segments.append(self._take(end))
        return segments

    def flush(self) -> list[Segment]:
        """Return what is left at the end of the reply, if any of it can be spoken."""
        return [self._take(len(self._pending))] if _SPOKEN.search(self._pending) else []

    @property
    def _lengths(self) -> Lengths:
        return (FIRST, SECOND)[self._emitted] if self._emitted < 2 else LATER

    def _next_end(self) -> int | None:
        """Return where the next segment ends, or None while that is open."""
        while self._scanned < len(self._pending):
            index = self._scanned
            boundary = boundary_at(self._pending, index)
            if boundary is Boundary.OPEN:
                return None
            self._scanned += 1
            self._seconds += _character_s(self._pending[index])
            if boundary is not Boundary.NONE and _SPOKEN.search(self._pending, 0, index):
                end = self._behind_closers(index + 1)
                floor_s = (
                    self._lengths.sentence_s
                    if boundary is Boundary.SENTENCE
                    else self._lengths.clause_s
                )
                if self._seconds >= floor_s:
                    return end
                self._clause_end = end
            elif self._seconds > self._lengths.longest_s:
                cut = self._clause_end or self._last_space(index) or self._hard_cut(index)
                if cut:
                    return cut
        return None

    def _behind_closers(self, end: int) -> int:
        while end < len(self._pending) and self._pending[end] in CLOSERS:
            end += 1
        return end

    def _last_space(self, index: int) -> int:
        """Return where the last word begins that has no number beside it, else the last word."""
        spaces = [at for at in range(index) if self._pending[at] == " "]
        plain = [at for at in spaces if not _has_digit(self._pending[at - 1 : at + 2])]
        for at in (*plain[-1:], *spaces[-1:]):
            if _SPOKEN.search(self._pending, 0, at):
                return at + 1
        return 0

    def _hard_cut(self, index: int) -> int:
        """Between two characters of a script without spaces, or in a word of absurd length."""
        is_between = is_cjk(self._pending[index]) and not _has_digit(self._pending[index - 1])
        is_absurd = self._seconds > 2 * self._lengths.longest_s
        return index if is_between or is_absurd else 0

    def _take(self, end: int) -> Segment:
        raw = self._pending[:end]
        text = raw.strip()
        start = self._start + len(raw) - len(raw.lstrip())
        self._pending = self._pending[end:]
        self._start += end
        self._scanned, self._seconds, self._clause_end = 0, 0.0, 0
        self._emitted += 1
        return Segment(text=text, start=start, end=start + len(text))


def boundary_at(text: str, index: int) -> Boundary:
    """Return how strong a boundary the character makes; what follows it may be unknown."""
    character = text[index]
    strength = Boundary.SENTENCE if character in SENTENCE_MARKS else Boundary.CLAUSE
    if strength is Boundary.CLAUSE and character not in CLAUSE_MARKS:
        return Boundary.NONE
    if character == "\n":
        return strength
    line = text[:index].rpartition("\n")[2]
    word = found.group() if (found := _LAST_WORD.search(line)) else ""
    following = text[index + 1 : index + 3]
    if word[-1:].isdigit() and character in NUMBER_MARKS:
        return _boundary_behind_number(character, line, following, strength)
    if not character.isascii():
        return strength
    if _ADDRESS.search(word):
        return _unless_it_goes_on(following, strength)
    if character in INNER_MARKS and following and _goes_on(following[0]):
        return Boundary.NONE
    if character == ";" and _ENTITY.search(word):
        return Boundary.NONE
    if character == "." and word.lower() in ABBREVIATIONS_OF_NUMBERS:
        return _unless_a_number_follows(following, strength)
    return Boundary.NONE if character == "." and _is_shortened(word) else strength


def _boundary_behind_number(
    character: str, line: str, following: str, strength: Boundary
) -> Boundary:
    """A fraction, a time of day, a date or a list of numbers may go on behind its mark."""
    if character != "." and character != ":":
        behind_spaces = _unless_a_number_follows(following, strength)
        if behind_spaces is not strength or not character.isascii():
            return behind_spaces
    if following and _is_list_number(line):
        return Boundary.NONE
    return _unless_it_goes_on(following, strength)


def _unless_it_goes_on(following: str, strength: Boundary) -> Boundary:
    if not following:
        return Boundary.OPEN
    return Boundary.NONE if _goes_on(following[0]) else strength


def _unless_a_number_follows(following: str, strength: Boundary) -> Boundary:
    """Decide by the next character, or the one behind a space."""
    rest = following.removeprefix(" ")
    if not rest:
        return Boundary.OPEN
    return Boundary.NONE if rest[0].isdigit() else strength


def clause_start(text: str, at: int) -> int:
    """Return where the clause begins in which the character before `at` stands."""
    for index in range(min(at, len(text)) - 1, -1, -1):
        if boundary_at(text, index) in (Boundary.CLAUSE, Boundary.SENTENCE):
            end = index + 1
            while end < len(text) and (text[end] in CLOSERS or text[end].isspace()):
                end += 1
            return end
    return 0


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _goes_on(following: str) -> bool:
    return not following.isspace() and following not in CLOSERS


def _is_list_number(line: str) -> bool:
    return line.strip().isdigit()


def _is_shortened(word: str) -> bool:
    """Whether a full stop belongs to the word before it: Dr. J. e.g. and so on."""
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
