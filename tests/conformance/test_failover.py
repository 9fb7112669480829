"""Between any two vendors of a stage the second takes over, with the same wishes as the first."""

from dataclasses import replace
from itertools import permutations

import pytest

from services.speech.ports.stages import Stage
from services.speech.providers.failover.chat import FailoverChatModel
from services.speech.providers.failover.recognizer import FailoverRecognizer
from services.speech.providers.failover.relay import FailoverRules
from services.speech.providers.failover.synthesizer import FailoverSynthesizer
from tests.conformance.asking import GREETING, TEXTS, heard, hearing, speaking, spoken, text_of
from tests.conformance.script import Trouble
from tests.conformance.subject import Subject, subjects

RULES = FailoverRules(first_byte_s=20)


def pairs(stage: Stage) -> pytest.MarkDecorator:
    """Every two vendors of a stage, in both orders."""
    vendors = [each for each in subjects() if each.stage is stage]
    return pytest.mark.parametrize(
        ("first", "second"),
        [
            pytest.param(first, second, id=f"{first.name}-then-{second.name}")
            for first, second in permutations(vendors, 2)
            if first.vendor.settings.kind != second.vendor.settings.kind
        ],
    )


@pairs(Stage.RECOGNITION)
async def test_recognition(first: Subject, second: Subject) -> None:
    async with (
        first.recognizer() as (one, down),
        second.recognizer() as (two, up),
        FailoverRecognizer.open([one, two], RULES) as recognizer,
    ):
        down.trouble = Trouble.UNAVAILABLE
        transcripts = await heard(recognizer, hearing("en-US", "Ada Lovelace"))
    assert transcripts[-1].text == up.utterance.final
    [session] = up.sessions
    if "language" not in second.without:
        assert session.languages == ("en",)
    if "hot_words" not in second.without:
        assert session.hot_words == ("Ada Lovelace",)


@pairs(Stage.CHAT)
async def test_chat(first: Subject, second: Subject) -> None:
    async with (
        first.chat() as (one, down),
        second.chat() as (two, up),
        FailoverChatModel.open([one, two], RULES) as model,
    ):
        down.trouble = Trouble.UNAVAILABLE
        items = [item async for item in model.stream(GREETING)]
    assert text_of(items) == "".join(up.reply.deltas)


@pairs(Stage.SYNTHESIS)
async def test_synthesis(first: Subject, second: Subject) -> None:
    async with first.synthesizer() as (one, down), second.synthesizer() as (two, up):
        wanted, paired = one.voices[0].voice_id, two.voices[1].voice_id
        async with FailoverSynthesizer.open(
            [one, two], RULES, voices_of={two.name: {wanted: paired}}
        ) as synthesizer:
            down.trouble = Trouble.UNAVAILABLE
            wanted_by_first = replace(
                speaking(synthesizer, "en-US", speed=1.1), style="chat", emotion="cheerful"
            )
            chunks = await spoken(synthesizer, TEXTS, wanted_by_first)
    assert any(b"".join(chunk.pcm for chunk in chunks))
    assert {session.voice_id for session in up.sessions} == {paired}
    if "language" not in second.without:
        assert {session.language for session in up.sessions} == {"en"}
    if "speed" not in second.without:
        assert all(session.speed == pytest.approx(1.1) for session in up.sessions)
    # A style and an emotion are the first vendor's own names.
    assert not any(session.delivery for session in up.sessions)
    said = "".join("".join(session.texts) for session in up.sessions)
    assert [word.strip(" ,.?") for word in said.split()] == [
        word.strip(" ,.?") for word in "".join(TEXTS).split()
    ]
