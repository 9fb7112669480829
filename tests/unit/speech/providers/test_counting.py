"""What providers are used for is counted, priced and told, however a request ends."""

from collections.abc import AsyncIterator

import pytest

from services.speech.conversation.usage import UsageMeter
from services.speech.ports.chat import ChatItem, ChatMessage, ChatRequest, ChatUsage, Role
from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import RecognitionRequest
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechRequest
from services.speech.ports.usage import Usage
from services.speech.provider_settings import Price
from services.speech.providers.counting import (
    CountedChatModel,
    CountedRecognizer,
    CountedSynthesizer,
    cost_micros,
    estimated_tokens,
)
from services.speech.streams import closing, once
from tests.support.metrics import sample
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer, ScriptedSynthesizer

ASKED = (ChatMessage(role=Role.USER, content="Why is the sky blue?"),)


class CountingChat:
    """A model that counts its tokens."""

    name = "counting"

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        yield "It scatters."
        yield ChatUsage(input_tokens=1_000, cached_tokens=400, output_tokens=50)


async def test_tokens_are_those_that_the_vendor_counts() -> None:
    told: list[Usage] = []
    price = Price(
        currency="EUR",
        per_million_input_tokens=2,
        per_million_cached_tokens=0.5,
        per_million_output_tokens=10,
    )
    model = CountedChatModel(CountingChat(), price)
    labels = {"stage": "chat", "provider": "counting", "currency": "EUR"}
    before = sample("parley_usage_cost_total", **labels) or 0.0
    items = [each async for each in model.stream(ChatRequest(messages=ASKED, on_usage=told.append))]
    assert isinstance(items[-1], ChatUsage)
    assert told == [
        Usage(
            stage=Stage.CHAT,
            provider="counting",
            input_tokens=1_000,
            cached_tokens=400,
            output_tokens=50,
            currency="EUR",
            cost_micros=600 * 2 + 200 + 500,
        )
    ]
    after = sample("parley_usage_cost_total", **labels) or 0.0
    assert after - before == pytest.approx(0.0019)


async def test_tokens_that_nobody_counts_are_estimated_and_marked() -> None:
    told: list[Usage] = []
    model = CountedChatModel(ScriptedChat(name="mum", deltas=("Because ", "it scatters.")), None)
    request = ChatRequest(messages=ASKED, on_usage=told.append)
    async with closing(model.stream(request)) as deltas:
        await anext(deltas)
    [usage] = told
    assert (usage.input_tokens, usage.output_tokens) == (9, 2)
    assert usage.estimated_tokens == 11
    assert (usage.currency, usage.cost_micros) == ("", 0)
    labels = {"provider": "mum", "kind": "input", "counted_by": "estimate"}
    assert sample("parley_usage_tokens_total", **labels) == 9


async def test_a_request_that_fails_is_counted() -> None:
    told: list[Usage] = []
    fault = ProviderError(Stage.CHAT, "one", "down", transient=True)
    model = CountedChatModel(ScriptedChat(name="failing", deltas=("x",), error=fault), None)
    with pytest.raises(ProviderError):
        _ = [x async for x in model.stream(ChatRequest(messages=ASKED, on_usage=told.append))]
    assert len(told) == 1


async def test_audio_is_counted_as_it_is_sent() -> None:
    told: list[Usage] = []
    recognizer = CountedRecognizer(ScriptedRecognizer(), Price(per_audio_minute=0.006))
    request = RecognitionRequest(language_codes=("en",), on_usage=told.append)
    _ = [each async for each in recognizer.transcribe(once(bytes(32_000 * 30)), request)]
    [usage] = told
    assert (usage.stage, usage.audio_s, usage.cost_micros) == (Stage.RECOGNITION, 30.0, 3_000)
    assert recognizer.is_streaming is ScriptedRecognizer().is_streaming


async def test_characters_and_spoken_audio_are_counted() -> None:
    told: list[Usage] = []
    voice = CountedSynthesizer(ScriptedSynthesizer(), Price(per_million_characters=15))
    request = SpeechRequest(
        voice_id=voice.voices[0].voice_id, language_code="en", on_usage=told.append
    )
    pcm = b"".join([each.pcm async for each in voice.speak(once("Hello."), request)])
    [usage] = told
    assert (usage.characters, usage.cost_micros) == (6, 90)
    assert usage.audio_s == len(pcm) / 2 / voice.sample_rate_hertz > 0


def test_cached_tokens_cost_as_others_unless_they_have_a_price() -> None:
    usage = Usage(stage=Stage.CHAT, provider="one", input_tokens=10, cached_tokens=4)
    assert cost_micros(usage, Price(per_million_input_tokens=3)) == 30
    both = Price(per_million_input_tokens=3, per_million_cached_tokens=0)
    assert cost_micros(usage, both) == 18


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("word", 1), ("words", 2), ("\u4f60\u597d", 2), ("\u4f60 ok", 2)]
)
def test_tokens_are_estimated_by_script(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


def test_a_turn_takes_what_was_used_since_the_one_before() -> None:
    meter = UsageMeter()
    once_ = Usage(stage=Stage.CHAT, provider="one", input_tokens=5, audio_s=0.5, cost_micros=2)
    for usage in (once_, once_, Usage(stage=Stage.CHAT, provider="two", output_tokens=1)):
        meter.add(usage)
    first, second = meter.take()
    assert (first.input_tokens, first.audio_s, first.cost_micros) == (10, 1.0, 4)
    assert second.provider == "two"
    assert meter.take() == ()
