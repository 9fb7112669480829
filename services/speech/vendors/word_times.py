"""When the words of a sentence are heard, from vendors whose times may count from either end."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.speech.ports.synthesis import WordTime
from services.speech.vendors.alignment import TextCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedText:
    """A word as a vendor writes and times it, in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpan:
    """Where the sound of a sentence is in that of a reply, in seconds."""

    start_s: float
    end_s: float


def placed(words: Sequence[TimedText], span: TimeSpan, cursor: TextCursor) -> tuple[WordTime, ...]:
    """Return the words of a sentence that the cursor finds, in times from the reply's beginning.

    The vendor's times count from there, too, or from the beginning of the sentence: what fits the
    sentence's sound better is taken.
    """
    if not words:
        return ()
    first_s, last_s = words[0].start_s, words[-1].end_s
    misfit_s = abs(first_s - span.start_s) + abs(last_s - span.end_s)
    misfit_moved_s = abs(first_s) + abs(last_s - (span.end_s - span.start_s))
    offset_s = span.start_s if misfit_moved_s < misfit_s else 0.0
    return tuple(
        WordTime(
            start=place[0],
            end=place[1],
            start_s=word.start_s + offset_s,
            end_s=word.end_s + offset_s,
        )
        for word in words
        if (place := cursor.find(word.text)) is not None
    )
