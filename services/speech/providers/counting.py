"""Counts what each provider is used for, and what that costs.

It wraps every provider below failover: what a provider that fails was sent has to be paid as well.
"""

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from services.runtime.pcm import duration_s
from services.speech.ports.chat import ChatItem, ChatModel, ChatRequest, ChatUsage, ToolCall
from services.speech.ports.recognition import (
    LISTENING_RATE_HERTZ,
    RecognitionRequest,
    Recognizer,
    Transcript,
)
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Synthesizer, Voice
from services.speech.ports.usage import OnUsage, Usage
from services.speech.provider_settings import Price
from services.speech.streams import closing
from services.speech.telemetry.metrics import count_usage

_MILLION = 1_000_000
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Tells what a request used, with its cost where there is a price."""

    price: Price | None

    def note(self, usage: Usage, on_usage: OnUsage) -> None:
        """Count it; a request that sent nothing is no usage."""
        if not (usage.input_tokens or usage.output_tokens or usage.characters or usage.audio_s):
            return
        if self.price is not None:
            usage = replace(
                usage, currency=self.price.currency, cost_micros=cost_micros(usage, self.price)
            )
        count_usage(usage)
        on_usage(usage)


class CountedRecognizer:
    """A recognizer whose audio is counted."""

    def __init__(self, recognizer: Recognizer, price: Price | None) -> None:
        self._recognizer = recognizer
        self._counter = Counter(price=price)

    @property
    def name(self) -> str:
        """The recognizer's own."""
        return self._recognizer.name

    @property
    def is_streaming(self) -> bool:
        """The recognizer's own."""
        return self._recognizer.is_streaming

    @property
    def detects_turn_ends(self) -> bool:
        """The recognizer's own."""
        return self._recognizer.detects_turn_ends

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield its hypotheses; raises what it raises."""
        size = 0

        async def sent() -> AsyncIterator[bytes]:
            nonlocal size
            async with closing(audio):
                async for piece in audio:
                    size += len(piece)
                    yield piece

        try:
            async with closing(self._recognizer.transcribe(sent(), request)) as transcripts:
                async for transcript in transcripts:
                    yield transcript
        finally:
            audio_s = duration_s(size, LISTENING_RATE_HERTZ)
            usage = Usage(stage=Stage.RECOGNITION, provider=self.name, audio_s=audio_s)
            self._counter.note(usage, request.on_usage)


class CountedChatModel:
    """A language model whose tokens are counted, by itself or else roughly."""

    def __init__(self, model: ChatModel, price: Price | None) -> None:
        self._model = model
        self._counter = Counter(price=price)

    @property
    def name(self) -> str:
        """The model's own."""
        return self._model.name

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield its reply; raises what it raises."""
        counted: ChatUsage | None = None
        written: list[str] = []
        try:
            async with closing(self._model.stream(request)) as items:
                async for item in items:
                    match item:
                        case ChatUsage():
                            counted = item
                        case ToolCall():
                            written += (item.name, item.arguments)
                        case str():
                            written.append(item)
                        case unknown:
                            assert_never(unknown)
                    yield item
        finally:
            usage = (
                _counted(self.name, counted) if counted else _guessed(self.name, request, written)
            )
            self._counter.note(usage, request.on_usage)


class CountedSynthesizer:
    """A synthesizer whose characters and audio are counted."""

    def __init__(self, synthesizer: Synthesizer, price: Price | None) -> None:
        self._synthesizer = synthesizer
        self._counter = Counter(price=price)

    @property
    def name(self) -> str:
        """The synthesizer's own."""
        return self._synthesizer.name

    @property
    def sample_rate_hertz(self) -> int:
        """The synthesizer's own."""
        return self._synthesizer.sample_rate_hertz

    @property
    def voices(self) -> Sequence[Voice]:
        """The synthesizer's own."""
        return self._synthesizer.voices

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield its audio; raises what it raises."""
        characters, size = 0, 0

        async def sent() -> AsyncIterator[str]:
            nonlocal characters
            async with closing(texts):
                async for text in texts:
                    characters += len(text)
                    yield text

        try:
            async with closing(self._synthesizer.speak(sent(), request)) as chunks:
                async for chunk in chunks:
                    size += len(chunk.pcm)
                    yield chunk
        finally:
            usage = Usage(
                stage=Stage.SYNTHESIS,
                provider=self.name,
                characters=characters,
                audio_s=duration_s(size, self.sample_rate_hertz),
            )
            self._counter.note(usage, request.on_usage)


def cost_micros(usage: Usage, price: Price) -> int:
    """Return the cost in millionths of the price's currency."""
    cached = price.per_million_cached_tokens
    if cached is None:
        cached = price.per_million_input_tokens
    # A price per million is one in millionths per piece.
    return round(
        (usage.input_tokens - usage.cached_tokens) * price.per_million_input_tokens
        + usage.cached_tokens * cached
        + usage.output_tokens * price.per_million_output_tokens
        + usage.characters * price.per_million_characters
        + usage.audio_s / 60 * price.per_audio_minute * _MILLION
    )


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for an ideograph, or for four letters."""
    ideographs = len(_IDEOGRAPH.findall(text))
    return ideographs + -(-(len(text) - ideographs) // _CHARACTERS_PER_TOKEN)


def _counted(provider: str, counted: ChatUsage) -> Usage:
    return Usage(
        stage=Stage.CHAT,
        provider=provider,
        input_tokens=counted.input_tokens,
        cached_tokens=counted.cached_tokens,
        output_tokens=counted.output_tokens,
    )


def _guessed(provider: str, request: ChatRequest, written: Sequence[str]) -> Usage:
    """Return about what a reply used that the vendor did not count, such as one that was cut."""
    texts = [message.content for message in request.messages]
    texts += [call.arguments for message in request.messages for call in message.tool_calls]
    texts += [tool.description + json.dumps(dict(tool.parameters)) for tool in request.tools]
    read = sum(map(estimated_tokens, texts)) + _TOKENS_PER_MESSAGE * len(request.messages)
    wrote = estimated_tokens("".join(written))
    return Usage(
        stage=Stage.CHAT,
        provider=provider,
        input_tokens=read,
        output_tokens=wrote,
        estimated_tokens=read + wrote,
    )
