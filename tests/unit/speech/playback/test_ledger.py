"""What was heard is a beginning of the reply, grows with playback, and is whole at its end."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.playback.ledger import HeardMethod, Ledger
from services.speech.playback.ports import Playback, PlaybackMethod
from services.speech.ports.synthesis import WordTime
from services.speech.text.alignment import SpokenForm
from services.speech.text.normalization import speakable

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
        spoken_start, audio_s = ledger.spoken_length, ledger.produced_s
        ledger.add_segment(
            text_start=start,
            text_end=start + len(piece.text),
            spoken=SpokenForm.as_written(piece.text),
        )
        words = _words(piece) if piece.is_timed else ()
        ledger.add_audio(
            2 * int(piece.audio_s * RATE),
            tuple(word.moved(spoken_start, audio_s) for word in words),
            ledger.spoken_length,
        )
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
        audio_s=st.floats(0.01, 10),
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
    assert latin.heard(0.4).text == ""
    assert latin.heard(0.6).text == latin.heard(1.2).text == "wonderful"
    assert latin.heard(1.2).method is HeardMethod.SEGMENT_SHARE
    chinese = write([Piece(text="今天天气很好", audio_s=1.2, is_timed=False)])
    assert chinese.heard(0.65).text == "今天天"


@pytest.mark.parametrize("is_timed", [True, False])
def test_what_is_said_otherwise_than_written_is_cut_where_it_is_written(is_timed: bool) -> None:
    ledger = Ledger(sample_rate_hertz=RATE)
    written = "It is $5 now"
    spoken = speakable(written, "en")
    ledger.add_text(written)
    ledger.add_segment(text_start=0, text_end=len(written), spoken=spoken)
    piece = Piece(text=spoken.text, audio_s=2.3, is_timed=is_timed)
    words = _words(piece) if is_timed else ()
    ledger.add_audio(int(2 * RATE * piece.audio_s), words, len(spoken.text))
    heard = [ledger.heard(at / 10).text for at in (5, 8, 13, 22)]
    assert heard == ["It is", "It is", "It is $5", "It is $5 now"]


def test_segments_tell_their_way_from_text_to_ear() -> None:
    ledger = write(
        [
            Piece(text="one two", audio_s=0.7, is_timed=True),
            Piece(text="three four", audio_s=1.0, is_timed=True),
            Piece(text="five", audio_s=0.4, is_timed=False),
        ]
    )
    playback = Playback(sent_s=1.9, played_s=1.3, method=PlaybackMethod.CONFIRMED)
    summary = ledger.summary(playback)
    first, second, third = summary.segments
    for segment, text in ((first, "one two"), (second, "three four"), (third, "five")):
        assert ledger.reply_text[segment.text_start : segment.text_end] == text
    assert [each.audio_start_s for each in summary.segments] == pytest.approx([0, 0.7, 1.7])
    assert [each.audio_end_s for each in summary.segments] == pytest.approx([0.7, 1.7, 2.1])
    assert [each.sent_s for each in summary.segments] == pytest.approx([0.7, 1.0, 0.2])
    assert [each.played_s for each in summary.segments] == pytest.approx([0.7, 0.6, 0.0])
    assert [each.heard_method for each in summary.segments] == [
        HeardMethod.COMPLETE,
        HeardMethod.WORD_TIMES,
        HeardMethod.NOTHING,
    ]
    assert ledger.reply_text[second.text_start : second.heard_end] == "three"
    assert summary.heard.text == ledger.reply_text[: second.heard_end] == "one two three"
    assert third.heard_end == third.text_start
    assert third.words == ()
    assert [second.text_start + word.start for word in second.words] == [8, 14]


def test_a_segment_that_is_still_made_is_not_wholly_heard() -> None:
    ledger = Ledger(sample_rate_hertz=RATE)
    text = "this one has very much more text than audio so far"
    ledger.add_text(text)
    ledger.add_segment(text_start=0, text_end=len(text), spoken=SpokenForm.as_written(text))
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
    assert len(summary.segments) == 1
    assert summary.produced_s == pytest.approx(1.3)


def on_one_session(*texts: str) -> Ledger:
    """Return the ledger of a reply whose segments a voice got all at once."""
    ledger = Ledger(sample_rate_hertz=RATE)
    for text in texts:
        start = len(ledger.reply_text)
        ledger.add_text(text)
        ledger.add_segment(
            text_start=start, text_end=start + len(text), spoken=SpokenForm.as_written(text)
        )
    return ledger


def seconds(count: float) -> int:
    return 2 * int(count * RATE)


def test_a_session_s_segments_begin_where_the_voice_says_that_the_one_before_ends() -> None:
    ledger = on_one_session("one two", "three", "four")
    assert [each.spoken.text for each in ledger.add_audio(seconds(0.3))] == ["one two"]
    assert ledger.add_audio(seconds(1.2), text_end=7) == ()
    assert [each.spoken.text for each in ledger.add_audio(seconds(0.3))] == ["three"]
    first, second = ledger.segments
    assert (first.is_complete, second.is_complete) == (True, False)
    assert ledger.seconds_of(second.audio_start) == pytest.approx(1.5)
    assert ledger.heard(1.5).text == "one two"


def test_words_that_are_told_late_place_the_segments_that_were_guessed() -> None:
    ledger = on_one_session("one two", "three")
    ledger.add_audio(seconds(3))
    words = (
        WordTime(start=0, end=3, start_s=0.0, end_s=1.0),
        WordTime(start=4, end=7, start_s=1.0, end_s=2.0),
        WordTime(start=7, end=12, start_s=2.0, end_s=3.0),
    )
    ledger.add_audio(0, words, text_end=12)
    assert ledger.seconds_of(ledger.segments[1].audio_start) == pytest.approx(2.0)
    assert [ledger.heard(at).text for at in (0.9, 1.9, 2.1, 2.9)] == [
        *("one", "one two", "one two", "one twothree"),
    ]


def test_without_any_word_a_session_s_segments_are_heard_one_after_the_other() -> None:
    ledger = on_one_session("some words to begin with ", "and some more of them")
    ledger.add_audio(seconds(2.4))
    assert ledger.heard(1.0).text in "some words to begin with "
    assert ledger.heard(2.4).text.startswith("some words to begin with and")


@given(
    st.lists(st.text("ab 好,", min_size=1, max_size=12), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(0, 2), st.booleans(), st.booleans()), max_size=12),
    st.lists(st.floats(0, 20), max_size=8),
)
def test_heard_of_a_session_is_a_growing_beginning(
    texts: list[str], steps: list[tuple[float, bool, bool]], moments: list[float]
) -> None:
    ledger = on_one_session(*texts)
    end = 0
    for audio_s, tells_word, tells_end in steps:
        words: tuple[WordTime, ...] = ()
        if tells_word and end < ledger.spoken_length:
            at = ledger.produced_s
            words = (WordTime(start=end, end=end + 1, start_s=at, end_s=at + audio_s),)
            end += 1
        ledger.add_audio(seconds(audio_s), words, end if tells_end else None)
    heard = [ledger.heard(at).text for at in sorted(moments)]
    assert all(ledger.reply_text.startswith(each) for each in heard)
    assert [len(each) for each in heard] == sorted(len(each) for each in heard)


def test_a_filler_moves_what_follows_and_says_nothing() -> None:
    pieces = [
        Piece(text="Let me see.", audio_s=1.0, is_timed=True),
        Piece(text="It is nine.", audio_s=1.0, is_timed=True),
    ]
    first, second = pieces
    ledger = write([first], completes=False)
    ledger.add_filler(2 * RATE // 2)
    assert (ledger.produced_s, ledger.speech_s) == (1.5, 1.0)
    ledger.add_text(second.text)
    start = len(first.text) + 1
    ledger.add_segment(
        text_start=start,
        text_end=start + len(second.text),
        spoken=SpokenForm.as_written(second.text),
    )
    # Begun after the text was there, too.
    ledger.add_filler(2 * RATE // 2)
    spoken_start, speech_s = len(first.text), ledger.speech_s
    words = tuple(word.moved(spoken_start, speech_s) for word in _words(second))
    ledger.add_audio(2 * RATE, words, ledger.spoken_length)
    ledger.complete()
    assert ledger.heard(1.0).text == first.text
    assert ledger.heard(1.9).text == first.text
    assert ledger.heard(2.0 + _words(second)[0].end_s).text == "Let me see. It"
    assert ledger.heard(3.0).method is HeardMethod.COMPLETE
    assert [each.audio_start_s for each in ledger.summary(Playback(played_s=3.0)).segments] == [
        0.0,
        2.0,
    ]
