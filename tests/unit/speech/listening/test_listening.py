"""The utterance of a held button is found in its audio."""

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.listening.detector import Onset
from services.speech.listening.hearing import RepeatedHearing
from services.speech.listening.push_to_talk import PushToTalk
from services.speech.listening.rules import ListeningRules
from services.speech.ports.recognition import Transcript
from tests.support.loudness import LoudnessDetector, silent, voiced
from tests.support.virtual_time import in_virtual_time

RULES = ListeningRules(longest_s=5.0)
SECOND = 32_000


async def recognise(pcm: bytes) -> Transcript:
    return Transcript(text="yes", is_final=True)


def held() -> PushToTalk:
    """A button that is held."""
    return PushToTalk(
        LoudnessDetector(),
        RULES,
        open_hearing=lambda on_hypothesis, first_s: RepeatedHearing(
            recognise, on_hypothesis, first_s=first_s
        ),
        on_hypothesis=lambda _: None,
    )


@in_virtual_time
async def test_a_held_button_takes_all_speech_until_the_commit() -> None:
    button = held()
    assert button.commit() is None
    onset = button.push(silent(1) + voiced(1) + silent(0.7) + voiced(0.5) + silent(1))
    assert isinstance(onset, Onset)
    assert onset.start_s == pytest.approx(1, abs=0.03)
    committed = button.commit()
    assert committed is not None
    assert committed.transcript is not None
    assert (await committed.transcript).text == "yes"
    utterance = committed.utterance
    assert utterance.end_s == pytest.approx(3.2, abs=0.05)
    # 0.3 s are kept before and after.
    assert len(utterance.pcm) / SECOND == pytest.approx(2.2 + 0.6, abs=0.1)
    assert button.commit() is None


@in_virtual_time
async def test_a_button_held_in_silence_holds_nothing() -> None:
    button = held()
    assert button.push(silent(1)) is None
    committed = button.commit()
    assert committed is not None
    assert (committed.utterance.pcm, committed.transcript) == (b"", None)


@in_virtual_time
async def test_a_click_is_no_speech() -> None:
    button = held()
    assert button.push(silent(0.5) + voiced(0.03) + silent(0.5)) is None


@in_virtual_time
async def test_a_button_held_too_long_is_refused() -> None:
    button = held()
    button.push(silent(4.9))
    with pytest.raises(ServiceError) as failure:
        button.push(silent(0.2))
    assert failure.value.reason is Reason.AUDIO_TOO_LONG
