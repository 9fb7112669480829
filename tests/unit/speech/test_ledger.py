"""What was heard is a beginning of the reply, grows with playback, and is whole at its end."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.ledger import HeardMethod, Ledger
from services.speech.ports import Playback, PlaybackMethod, WordTime

RATE = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A segment of a reply: its text, how long its audio is, and whether its words have times."""

    text: str
    audio_s: float
    is_timed: bool


def write(pieces: list[Piece], *, completes: bool = True) -> Ledger:
    """Return the ledger of a reply made of these pieces, a space between each two."""
    ledger = Ledger(sample_rate_hertz=RATE)
    start = 0
    for piece in pieces:
        ledger.add_text(piece.text + " ")
        ledger.begin_segment(
            text_start=start, text_end=start + len(piece.text), spoken_text=piece.text
        )
        words = _words(piece) if piece.is_timed else ()
        ledger.add_audio(2 * int(piece.audio_s * RATE), words)
        ledger.end_segment()
        start += len(piece.text) + 1
    if completes:
        ledger.complete()
    return ledger


def _words(piece: Piece) -> tuple[WordTime, ...]:
    words, start = [], 0
    per_character_s = piece.audio_s / len(piece.text)
    for word in piece.text.split(" "):
        end = start + len(word)
        words.append(
            WordTime(
                start=start,
                end=end,
                start_s=start * per_character_s,
                end_s=end * per_character_s,
            )
        )
        start = end + 1
    return tuple(words)


PIECES = st.lists(
    st.builds(
        Piece,
        text=st.text("ab 好吗,。'", min_size=1, max_size=30).filter(str.strip),
        audio_s=st.floats(0.1, 10),
        is_timed=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@given(PIECES, st.lists(st.floats(0, 60), max_size=20), st.booleans())
def test_heard_is_a_growing_beginning(
    pieces: list[Piece], moments: list[float], completes: bool
) -> None:
    ledger = write(pieces, completes=completes)
    heard = [ledger.heard(at).text for at in sorted(moments)]
    assert all(ledger.reply_text.startswith(each) for each in heard)
    assert [len(each) for each in heard] == sorted(len(each) for each in heard)


@given(PIECES)
def test_all_played_is_all_heard(pieces: list[Piece]) -> None:
    ledger = write(pieces)
    heard = ledger.heard(ledger.produced_s)
    assert heard.text == ledger.reply_text
    assert heard.method is HeardMethod.COMPLETE
    assert ledger.heard(0).text == ""
    assert ledger.heard(0).method is HeardMethod.NOTHING


def test_words_are_cut_by_their_times() -> None:
    ledger = write([Piece(text="one two three", audio_s=1.3, is_timed=True)])
    assert ledger.heard(0.1).text == ""
    assert ledger.heard(0.35).text == "one"
    assert ledger.heard(0.75).text == "one two"
    assert ledger.heard(0.75).method is HeardMethod.WORD_TIMES


def test_latin_text_is_cut_between_words_and_chinese_between_characters() -> None:
    latin = write([Piece(text="wonderful morning", audio_s=1.7, is_timed=False)])
    assert latin.heard(0.8).text == ""
    assert latin.heard(1.2).text in ("wonderful", "wonderful ")
    assert latin.heard(1.2).method is HeardMethod.SEGMENT_SHARE
    chinese = write([Piece(text="今天天气很好", audio_s=1.2, is_timed=False)])
    assert chinese.heard(0.65).text == "今天天"


def test_word_times_of_a_rewritten_text_are_not_used_on_the_written_one() -> None:
    ledger = Ledger(sample_rate_hertz=RATE)
    ledger.add_text("It is $5 now")
    ledger.begin_segment(text_start=0, text_end=12, spoken_text="It is five dollars now")
    ledger.add_audio(2 * RATE, (WordTime(start=0, end=22, start_s=0, end_s=1),))
    ledger.end_segment()
    heard = ledger.heard(0.5)
    assert heard.method is HeardMethod.SEGMENT_SHARE
    assert heard.text in ("It is", "It is ")


def test_a_segment_that_is_still_made_is_not_wholly_heard() -> None:
    ledger = Ledger(sample_rate_hertz=RATE)
    text = "this one has very much more text than audio so far"
    ledger.add_text(text)
    ledger.begin_segment(text_start=0, text_end=len(text), spoken_text=text)
    ledger.add_audio(RATE)
    assert len(ledger.heard(0.5).text) < len(text) / 2


@pytest.mark.parametrize(
    ("method", "confidence"),
    [
        (PlaybackMethod.CONFIRMED, 0.95),
        (PlaybackMethod.ESTIMATED, 0.95 * 0.9),
        (PlaybackMethod.CALLER, 0.95),
    ],
)
def test_confidence_follows_what_is_known(method: PlaybackMethod, confidence: float) -> None:
    ledger = write([Piece(text="one two three", audio_s=1.3, is_timed=True)])
    summary = ledger.summary(Playback(sent_s=1.3, played_s=0.75, method=method))
    assert summary.heard.confidence == pytest.approx(confidence)
    assert summary.sentence_count == 1
    assert summary.produced_s == pytest.approx(1.3)
