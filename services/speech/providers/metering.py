"""Metering for providers without a fallback; those with one are metered by the relay."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from services.runtime.telemetry.tracing import record
from services.speech.ports.chat import ChatItem, ChatModel, ChatRequest
from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Synthesizer, Voice
from services.speech.providers.failover.relay import RequestOutcome, outcome_of
from services.speech.streams import closing
from services.speech.telemetry.metrics import PROVIDER_CALLS

T = TypeVar("T")


class MeteredRecognizer:
    """A recognizer whose utterances are counted."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer

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

    def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield its hypotheses; raises what it raises."""
        transcripts = self._recognizer.transcribe(audio, request)
        return _metered(transcripts, Stage.RECOGNITION, self.name)


class MeteredChatModel:
    """A language model whose replies are counted."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's own."""
        return self._model.name

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield its reply; raises what it raises."""
        return _metered(self._model.stream(request), Stage.CHAT, self.name)


class MeteredSynthesizer:
    """A synthesizer whose segments are counted."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer = synthesizer

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

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield its audio; raises what it raises."""
        return _metered(self._synthesizer.speak(texts, request), Stage.SYNTHESIS, self.name)


async def _metered(items: AsyncIterator[T], stage: Stage, name: str) -> AsyncIterator[T]:
    """Yield the same items, and count the request when it is over.

    A request that is closed before its first item is not counted: the provider is not to blame.
    """
    asked_at = time.monotonic()
    outcome: RequestOutcome | None = RequestOutcome.MUTE
    try:
        async with closing(items):
            async for item in items:
                outcome = RequestOutcome.ANSWERED
                yield item
    except (GeneratorExit, asyncio.CancelledError):
        outcome = outcome if outcome is RequestOutcome.ANSWERED else None
        raise
    except (ProviderError, TimeoutError) as failure:
        outcome = outcome_of(failure)
        raise
    finally:
        if outcome is not None:
            now = time.time()  # noqa: TID251  # spans are placed by it, not measured
            record(
                f"{stage} by {name}",
                start_s=now - (time.monotonic() - asked_at),
                end_s=now,
                attributes={"parley.outcome": outcome.value},
            )
            PROVIDER_CALLS.labels(stage, name, outcome).inc()
