"""The utterance of a held button is found in its audio."""

import pytest

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.speech.listening.detector import Onset
from services.speech.listening.push_to_talk import PushToTalk
from services.speech.listening.rules import ListeningRules
from tests.support.speech import LoudnessDetector, silent, voiced
from tests.support.virtual_time import in_virtual_time

RULES = ListeningRules(longest_s=5.0)
SECOND = 32_000


@in_virtual_time
async def test_a_held_button_takes_all_speech_until_the_commit() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    assert button.commit() is None
    onset = button.push(silent(1) + voiced(1) + silent(0.7) + voiced(0.5) + silent(1))
    assert isinstance(onset, Onset)
    assert onset.start_s == pytest.approx(1, abs=0.03)
    utterance = button.commit()
    assert utterance is not None
    assert utterance.end_s == pytest.approx(3.2, abs=0.05)
    # 0.3 s are kept before and after.
    assert len(utterance.pcm) / SECOND == pytest.approx(2.2 + 0.6, abs=0.1)
    assert button.commit() is None


@in_virtual_time
async def test_a_button_held_in_silence_holds_nothing() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    assert button.push(silent(1)) is None
    utterance = button.commit()
    assert utterance is not None
    assert utterance.pcm == b""


@in_virtual_time
async def test_a_click_is_no_speech() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    assert button.push(silent(0.5) + voiced(0.03) + silent(0.5)) is None


@in_virtual_time
async def test_a_button_held_too_long_is_refused() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    button.push(silent(4.9))
    with pytest.raises(ServiceError) as failure:
        button.push(silent(0.2))
    assert failure.value.reason is Reason.AUDIO_TOO_LONG
