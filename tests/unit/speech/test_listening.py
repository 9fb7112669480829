"""Utterances are found in audio, with a held button and with an open microphone."""

from dataclasses import dataclass, field

import pytest

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.speech.listening import (
    ListeningRules,
    Onset,
    OpenMicrophone,
    PushToTalk,
    Utterance,
)
from tests.support.speech import LoudnessDetector, silent, voiced
from tests.support.virtual_time import in_virtual_time

RULES = ListeningRules(longest_s=5.0)
SECOND = 32_000


@dataclass(slots=True)
class ScriptedTurnEnd:
    """Gives its answers in order."""

    answers: list[float]
    asked: list[bytes] = field(default_factory=list)

    async def completion_probability(self, pcm: bytes) -> float:
        self.asked.append(pcm)
        return self.answers.pop(0)


async def listen(microphone: OpenMicrophone, pcm: bytes) -> list[Onset | Utterance]:
    """Feed audio in messages of 20 ms that do not fit the frames."""
    found = []
    for at in range(0, len(pcm), 640):
        found += await microphone.hear(pcm[at : at + 640])
    return found


@in_virtual_time
async def test_a_held_button_takes_all_speech_until_the_commit() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    assert button.commit() is None
    onset = button.hear(silent(1) + voiced(1) + silent(0.7) + voiced(0.5) + silent(1))
    assert onset == Onset(start_s=pytest.approx(1, abs=0.03))
    utterance = button.commit()
    assert utterance is not None
    assert utterance.end_s == pytest.approx(3.2, abs=0.05)
    # 0.3 s are kept before and after.
    assert len(utterance.pcm) / SECOND == pytest.approx(2.2 + 0.6, abs=0.1)
    assert button.commit() is None


@in_virtual_time
async def test_a_button_held_in_silence_holds_nothing() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    assert button.hear(silent(1)) is None
    utterance = button.commit()
    assert utterance is not None
    assert utterance.pcm == b""


@in_virtual_time
async def test_a_click_is_no_speech() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    assert button.hear(silent(0.5) + voiced(0.03) + silent(0.5)) is None


@in_virtual_time
async def test_a_button_held_too_long_is_refused() -> None:
    button = PushToTalk(LoudnessDetector(), RULES)
    button.hear(silent(4.9))
    with pytest.raises(ServiceError) as failure:
        button.hear(silent(0.2))
    assert failure.value.reason is Reason.AUDIO_TOO_LONG


@pytest.mark.parametrize(
    ("answers", "silence_s"),
    [([0.9], 0.3), ([0.1], 1.2), (None, 0.7)],
    ids=["finished", "unfinished", "unknown"],
)
@in_virtual_time
async def test_silence_ends_an_utterance_sooner_when_it_seems_finished(
    answers: list[float] | None, silence_s: float
) -> None:
    turn_end = ScriptedTurnEnd(list(answers)) if answers else None
    microphone = OpenMicrophone(LoudnessDetector(), RULES, turn_end)
    onset, *rest = await listen(microphone, silent(1) + voiced(1) + silent(silence_s - 0.05))
    assert isinstance(onset, Onset)
    assert rest == []
    [utterance] = await listen(microphone, silent(0.1))
    assert isinstance(utterance, Utterance)
    assert utterance.end_s == pytest.approx(2, abs=0.05)
    assert len(utterance.pcm) / SECOND == pytest.approx(1.6, abs=0.1)


@in_virtual_time
async def test_a_pause_inside_an_unfinished_sentence_does_not_end_it() -> None:
    turn_end = ScriptedTurnEnd([0.1, 0.9])
    microphone = OpenMicrophone(LoudnessDetector(), RULES, turn_end)
    found = await listen(microphone, voiced(1) + silent(0.7) + voiced(1) + silent(0.4))
    assert [type(each) for each in found] == [Onset, Utterance]
    assert len(turn_end.asked) == 2
    assert found[1].end_s == pytest.approx(2.7, abs=0.05)


@in_virtual_time
async def test_endless_speech_is_ended() -> None:
    microphone = OpenMicrophone(LoudnessDetector(), RULES, None)
    found = await listen(microphone, voiced(11))
    assert [type(each) for each in found] == [Onset, Utterance, Onset, Utterance, Onset]
    assert all(len(each.pcm) <= 5.1 * SECOND for each in found if isinstance(each, Utterance))


@in_virtual_time
async def test_hours_of_silence_are_not_kept() -> None:
    microphone = OpenMicrophone(LoudnessDetector(), RULES, None)
    await listen(microphone, silent(60))
    found = await listen(microphone, voiced(1) + silent(1))
    assert found[0] == Onset(start_s=pytest.approx(60, abs=0.1))
    assert len(found[1].pcm) / SECOND == pytest.approx(1.6, abs=0.1)


@in_virtual_time
async def test_the_end_of_the_input_ends_the_utterance() -> None:
    microphone = OpenMicrophone(LoudnessDetector(), RULES, None)
    assert microphone.commit() is None
    await listen(microphone, voiced(1))
    assert isinstance(microphone.commit(), Utterance)
    assert microphone.commit() is None
