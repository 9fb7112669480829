"""How a turn ends whose process went away, by what was recorded and what the avatar played."""

import pytest

from services.runtime.failures.reasons import Reason
from services.speech.conversation.abandoned import Abandoned
from services.speech.conversation.events import SentenceStarted
from services.speech.playback.ports import Playback
from services.speech.ports.synthesis import WordTime

PLAYED = Playback(sent_s=1.0, played_s=1.0)
REPLY = "We open at nine."


@pytest.mark.parametrize("playback", [None, Playback(), PLAYED])
def test_which_text_was_played_is_unknown_without_a_recorded_sentence(
    playback: Playback | None,
) -> None:
    turn = Abandoned(turn_id=1, user_text="When?", reply_text=REPLY, language_code="en")
    failed, exchange = turn.closed(playback)
    assert failed.error.reason is Reason.TURN_ABANDONED
    assert (failed.reply_text, failed.heard_text, failed.ledger) == (REPLY, "", None)
    assert (exchange.user_text, exchange.heard_text) == ("When?", "")


def test_a_recorded_sentence_is_cut_where_playback_stopped() -> None:
    sentence = SentenceStarted(text=REPLY, text_start=0, text_end=len(REPLY), audio_s=0.0, words=())
    turn = Abandoned(turn_id=1, reply_text=REPLY, language_code="en", sentences=(sentence,))
    failed, _ = turn.closed(PLAYED)
    assert failed.heard_text == "We open at nine"
    failed, _ = turn.closed(Playback(sent_s=1.0, played_s=0.5))
    assert failed.heard_text == "We open"


def test_word_times_count_for_a_clause_whose_caption_ends_in_a_comma() -> None:
    words = (
        WordTime(start=0, end=3, start_s=0.0, end_s=0.1),
        WordTime(start=5, end=11, start_s=0.1, end_s=5.0),
    )
    sentence = SentenceStarted(
        text="Yes, indeed,", text_start=0, text_end=12, audio_s=0.0, words=words
    )
    turn = Abandoned(
        turn_id=1, reply_text="Yes, indeed,", language_code="en", sentences=(sentence,)
    )
    failed, _ = turn.closed(Playback(sent_s=6.0, played_s=0.2))
    assert failed.heard_text == "Yes"
