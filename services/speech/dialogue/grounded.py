"""Passes a reply on while it is written, up to the first thing in it that nothing supports."""

from collections.abc import AsyncIterator, Callable

import structlog

from services.speech.dialogue.grounds import Grounds, Ungrounded, is_bare_agreement
from services.speech.dialogue.lexicon import is_chinese
from services.speech.dialogue.question import VALUE_KINDS, Kind
from services.speech.dialogue.words import sentences
from services.speech.streams import closing
from services.speech.telemetry.metrics import CHECKED_SENTENCES
from services.speech.text.segmentation import CLAUSE_MARKS, CLOSERS, Splitter

log = structlog.get_logger(__name__)

_ENDS = frozenset(".!?。！？\n")
_CLOSERS = "".join(CLOSERS)


async def grounded(
    deltas: AsyncIterator[str],
    grounds_now: Callable[[], Grounds],
    *,
    decline: Callable[[Ungrounded], str],
) -> AsyncIterator[str]:
    """Yield the parts of a reply that are grounded; at the first that is not, `decline`'s words.

    `grounds_now` returns what is known so far: what tools answer adds to it.

    Instead of one price of a list the whole list is given, and the reply ends.

    A part is what the voice would speak as one segment, so nothing is held beyond its mark, unless
    its beginning cannot be checked on its own. The model is cancelled at the first part that
    nothing supports. An empty part says that it has begun to write.
    """
    gate = _Gate(grounds_now)
    splitter = Splitter()
    async with closing(deltas):
        async for delta in deltas:
            if gate.is_empty:
                yield ""
            gate.add(delta)
            for segment in splitter.feed(delta):
                passed = gate.release(segment.end)
                if passed:
                    yield passed
                if gate.is_closed:
                    yield _replacement(gate, decline)
                    return
    if passed := gate.release(None):
        yield passed
    if gate.is_closed:
        yield _replacement(gate, decline)


class _Gate:
    """The reply so far, and how much of it has been released."""

    def __init__(self, grounds_now: Callable[[], Grounds]) -> None:
        self._grounds_now = grounds_now
        self._text = ""
        self._released = 0
        self.ungrounded: Ungrounded | None = None
        self.price_list = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written."""
        return not self._text

    @property
    def is_closed(self) -> bool:
        """Whether the rest of the reply is replaced."""
        return self.ungrounded is not None or bool(self.price_list)

    @property
    def released(self) -> str:
        """The text that has been released."""
        return self._text[: self._released]

    @property
    def grounds(self) -> Grounds:
        """What the reply is checked against."""
        return self._grounds_now()

    def add(self, delta: str) -> None:
        """Add text that the model has written."""
        self._text += delta

    def release(self, end: int | None) -> str:
        """Return what may pass of the text up to a character; None means the reply is complete."""
        start = self._released
        grounds = self.grounds
        for sentence in _statements(self._text[start:end]):
            is_whole = sentence.rstrip()[-1:] in _ENDS and not is_bare_agreement(sentence)
            if end is not None and not is_whole and not grounds.can_check(sentence):
                break
            self.ungrounded = grounds.find_ungrounded(sentence)
            CHECKED_SENTENCES.labels(outcome=self.ungrounded or "grounded").inc()
            self.price_list = grounds.price_list(sentence)
            if self.is_closed:
                break
            self._released += len(sentence)
        return self._text[start : self._released]


def _statements(text: str) -> list[str]:
    """Return a text's sentences; a bare yes or no is part of the one that follows it."""
    found: list[str] = []
    for sentence in sentences(text):
        if found and is_bare_agreement(found[-1]):
            found[-1] += sentence
        else:
            found.append(sentence)
    return found


def _closing_words(text: str) -> str:
    """Return the words that end a sentence of small talk which cannot be continued."""
    is_clause = text[-1] in CLAUSE_MARKS
    if is_chinese(text):
        return f"{'' if is_clause else '，'}不过我先说到这里。"
    return f"{'' if is_clause else ','} but let me stop there."


def _replacement(gate: _Gate, decline: Callable[[Ungrounded], str]) -> str:
    """Return what is said in place of the rest: nothing if the question has been answered."""
    if gate.ungrounded is None:
        return gate.price_list
    log.info("reply not grounded", missing=gate.ungrounded)
    released = gate.released.rstrip()
    question = gate.grounds.question
    answers = question.kind in VALUE_KINDS and question.is_answered_by(released)
    if released and (answers or question.kind is Kind.TALK):
        is_whole = released.rstrip(_CLOSERS)[-1:] in _ENDS
        return "" if is_whole else _closing_words(released)
    words = decline(gate.ungrounded)
    return f" {words}" if released and released[-1].isascii() else words
