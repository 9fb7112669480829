"""Times of words that count from the beginning of a reply or of each of its sentences."""

import pytest

from services.speech.vendors.alignment import TextCursor
from services.speech.vendors.word_times import TimedText, TimeSpan, placed

TEXT = "Hi. Good morning."


def after_the_first_sentence() -> TextCursor:
    """A cursor behind the first word."""
    cursor = TextCursor(TEXT)
    assert cursor.find("Hi") == (0, 2)
    return cursor


def test_takes_times_from_the_beginning_of_the_reply_as_they_are() -> None:
    cursor = after_the_first_sentence()
    words = [
        TimedText(text="Good", start_s=0.6, end_s=1.0),
        TimedText(text="morning", start_s=1.0, end_s=1.6),
    ]
    found = placed(words, TimeSpan(start_s=0.5, end_s=1.8), cursor)
    assert [(each.start, each.end) for each in found] == [(4, 8), (9, 16)]
    assert [each.start_s for each in found] == [0.6, 1.0]


@pytest.mark.parametrize("start_s", [0.3, 0.5, 4.0])
def test_moves_times_from_the_beginning_of_the_sentence(start_s: float) -> None:
    cursor = after_the_first_sentence()
    words = [
        TimedText(text="Good", start_s=0.2, end_s=0.5),
        TimedText(text="morning", start_s=0.5, end_s=1.1),
    ]
    found = placed(words, TimeSpan(start_s=start_s, end_s=start_s + 1.3), cursor)
    assert [each.start_s for each in found] == pytest.approx([start_s + 0.2, start_s + 0.5])
    assert [each.end_s for each in found] == pytest.approx([start_s + 0.5, start_s + 1.1])


def test_leaves_out_what_is_not_in_the_text() -> None:
    words = [
        TimedText(text="Good", start_s=0.0, end_s=0.4),
        TimedText(text="evening", start_s=0.4, end_s=1.0),
    ]
    found = placed(words, TimeSpan(start_s=0.0, end_s=1.0), TextCursor("Good morning."))
    assert [(each.start, each.end) for each in found] == [(0, 4)]


def test_places_no_words() -> None:
    assert placed([], TimeSpan(start_s=0.0, end_s=1.0), TextCursor(TEXT)) == ()
