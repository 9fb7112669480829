"""Requests to a provider without a fallback are counted, each by what became of it."""

from collections.abc import Sequence

import pytest

from services.speech.ports.chat import ChatMessage, ChatRequest, Role
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import RecognitionRequest
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechRequest
from services.speech.providers.metering import (
    MeteredChatModel,
    MeteredRecognizer,
    MeteredSynthesizer,
)
from services.speech.streams import closing, once
from tests.support.metrics import sample
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer, ScriptedSynthesizer

PROMPT: Sequence[ChatMessage] = [ChatMessage(role=Role.USER, content="Why?")]


def calls(stage: Stage, provider: str, outcome: str) -> float:
    labels = {"stage": stage, "provider": provider, "outcome": outcome}
    return sample("parley_provider_calls_total", **labels) or 0


async def test_answers_are_counted_for_every_stage() -> None:
    recognizer = MeteredRecognizer(ScriptedRecognizer())
    model = MeteredChatModel(ScriptedChat())
    synthesizer = MeteredSynthesizer(ScriptedSynthesizer())
    named = (
        (Stage.RECOGNITION, recognizer.name),
        (Stage.CHAT, model.name),
        (Stage.SYNTHESIS, synthesizer.name),
    )
    before = [calls(stage, name, "answered") for stage, name in named]
    pcm = once(b"\0\0" * 1600)
    assert [
        each
        async for each in recognizer.transcribe(pcm, RecognitionRequest(language_codes=("en",)))
    ]
    assert [each async for each in model.stream(ChatRequest(messages=tuple(PROMPT)))]
    voice_id = synthesizer.voices[0].voice_id
    assert [
        each
        async for each in synthesizer.speak(
            once("Hi."), SpeechRequest(voice_id=voice_id, language_code="en")
        )
    ]
    assert synthesizer.sample_rate_hertz in (16_000, 24_000)
    assert [calls(stage, name, "answered") for stage, name in named] == [n + 1 for n in before]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (ProviderError(Stage.CHAT, "one", "down", transient=True), "unavailable"),
        (ProviderError(Stage.CHAT, "one", "wrong key", transient=False), "refused"),
        (ProviderQuotaError(Stage.CHAT, "one", "used up"), "quota"),
    ],
)
async def test_failures_are_counted_and_raised(fault: ProviderError, outcome: str) -> None:
    model = MeteredChatModel(ScriptedChat(name="failing", deltas=("x",), error=fault))
    before = calls(Stage.CHAT, "failing", outcome)
    with pytest.raises(ProviderError):
        _ = [each async for each in model.stream(ChatRequest(messages=tuple(PROMPT)))]
    assert calls(Stage.CHAT, "failing", outcome) == before + 1


async def test_closing_after_the_first_word_counts_as_an_answer() -> None:
    model = MeteredChatModel(ScriptedChat(name="left", deltas=("One ", "two.")))
    async with closing(model.stream(ChatRequest(messages=tuple(PROMPT)))) as deltas:
        await anext(deltas)
    assert calls(Stage.CHAT, "left", "answered") == 1
