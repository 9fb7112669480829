"""Lets a reply pass while it is written, up to the first thing in it that nothing carries."""

from collections.abc import AsyncIterator, Callable

import structlog

from services.speech.dialogue.grounds import Grounds, Ungrounded, is_bare_agreement
from services.speech.dialogue.lexicon import is_chinese
from services.speech.dialogue.question import VALUES, Kind
from services.speech.dialogue.words import sentences
from services.speech.streams import closing
from services.speech.telemetry.metrics import CHECKED_SENTENCES
from services.speech.text.segmentation import CLAUSE_MARKS, CLOSERS, Splitter

log = structlog.get_logger(__name__)

_ENDS = frozenset(".!?。！？\n")
_CLOSERS = "".join(CLOSERS)


async def grounded(
    deltas: AsyncIterator[str], grounds: Grounds, *, decline: Callable[[Ungrounded], str]
) -> AsyncIterator[str]:
    """Yield a reply in parts that were found to be grounded; then `decline`'s words instead.

    A part is what the voice would speak at once: nothing waits longer than until its mark, unless
    its beginning says nothing by itself. The model is let go at the first part that is not carried.
    """
    gate = _Gate(grounds)
    splitter = Splitter()
    async with closing(deltas):
        async for delta in deltas:
            gate.add(delta)
            for segment in splitter.feed(delta):
                passed = gate.open(segment.end)
                if passed:
                    yield passed
                if gate.ungrounded is not None:
                    yield _instead(gate, decline)
                    return
    if passed := gate.open(None):
        yield passed
    if gate.ungrounded is not None:
        yield _instead(gate, decline)


class _Gate:
    """The reply so far, and how far it has passed."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._text = ""
        self._passed = 0
        self.ungrounded: Ungrounded | None = None

    @property
    def passed(self) -> str:
        """What has passed."""
        return self._text[: self._passed]

    @property
    def grounds(self) -> Grounds:
        """What the reply is measured against."""
        return self._grounds

    def add(self, delta: str) -> None:
        """Take what was written."""
        self._text += delta

    def open(self, end: int | None) -> str:
        """Return what passes of the text up to a character; None: no more text follows."""
        start = self._passed
        for sentence in _statements(self._text[start:end]):
            is_whole = sentence.rstrip()[-1:] in _ENDS and not is_bare_agreement(sentence)
            if end is not None and not is_whole and not self._grounds.says_something(sentence):
                break
            self.ungrounded = self._grounds.missing(sentence)
            CHECKED_SENTENCES.labels(outcome=self.ungrounded or "grounded").inc()
            if self.ungrounded is not None:
                break
            self._passed += len(sentence)
        return self._text[start : self._passed]


def _statements(text: str) -> list[str]:
    """Return a text's sentences; a bare yes or no belongs to the one that follows it."""
    found: list[str] = []
    for sentence in sentences(text):
        if found and is_bare_agreement(found[-1]):
            found[-1] += sentence
        else:
            found.append(sentence)
    return found


def _broken_off(passed: str) -> str:
    """Return how a sentence ends, in talk, that was begun and cannot be gone on with."""
    is_clause = passed[-1] in CLAUSE_MARKS
    if is_chinese(passed):
        return f"{'' if is_clause else '，'}不过我先说到这里。"
    return f"{'' if is_clause else ','} but let me stop there."


def _instead(gate: _Gate, decline: Callable[[Ungrounded], str]) -> str:
    """Return what is said in place of the rest: nothing when the question has been answered."""
    assert gate.ungrounded is not None  # Asked for by the caller alone.
    log.info("reply not grounded", missing=gate.ungrounded)
    passed = gate.passed.rstrip()
    question = gate.grounds.question
    answers = question.kind in VALUES and question.is_answered_by(passed)
    if passed and (answers or question.kind is Kind.TALK):
        is_whole = passed.rstrip(_CLOSERS)[-1:] in _ENDS
        return "" if is_whole else _broken_off(passed)
    words = decline(gate.ungrounded)
    return f" {words}" if passed and passed[-1].isascii() else words
