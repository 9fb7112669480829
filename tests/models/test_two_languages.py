"""With the real models, each question of a call in two languages is answered in its own."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.two_languages import Question, held
from services.speech.embedded.voices import VOICES
from tests.models.conftest import Recording
from tests.models.test_honesty import LIES, Liar
from tests.support.embedded import EmbeddedStack
from tests.support.scripted_providers import ScriptedSynthesizer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

ASKED = (
    "en_kokoro_am_michael_0.wav",
    "zh_kokoro_zm_yunxi_1.wav",
    "zh_kokoro_zf_xiaoxiao_0.wav",
)


async def test_a_question_is_answered_in_its_language(
    stack: EmbeddedStack, recordings: Sequence[Recording]
) -> None:
    """Replies are read, not heard: their voice need not be real."""
    by_name = {each.name: each for each in recordings}
    questions = [
        Question(language=each.language_code, text=each.text, pcm=each.pcm)
        for each in map(by_name.__getitem__, ASKED)
    ]
    liar = Liar()
    liar.lie = LIES["en"][0]
    quick = replace(stack, synthesizer=ScriptedSynthesizer(voices=VOICES))
    answered = [each async for each in held(quick, liar, questions)]
    assert len(answered) == len(ASKED)
    assert [each for each in answered if not each.is_right] == []
