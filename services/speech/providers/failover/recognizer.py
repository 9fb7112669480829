"""Recognizers in order: when one fails, the next gets the whole utterance."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from services.runtime.failures.errors import refused
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import duration_s
from services.speech.answers import concluded
from services.speech.ports.recognition import (
    LISTENING_RATE_HERTZ,
    RecognitionRequest,
    Recognizer,
    Transcript,
)
from services.speech.ports.stages import Stage
from services.speech.providers.failover.patience import Patience
from services.speech.providers.failover.recording import Recording
from services.speech.providers.failover.relay import FailoverRules, Relay
from services.speech.providers.probes import probe_recognizer
from services.speech.streams import closing

LONGEST_S = 120.0
"""More than any utterance may be; it bounds the memory that one takes (4 MB)."""


class FailoverRecognizer:
    """One recognizer made of several, which all get the same audio and request.

    The next recognizer may take over until the final transcript, as it replaces all hypotheses
    before it. Time counts from the end of the audio.
    """

    def __init__(self, relay: Relay[Recognizer]) -> None:
        self._relay = relay

    @classmethod
    @asynccontextmanager
    async def open(
        cls, recognizers: Sequence[Recognizer], rules: FailoverRules
    ) -> AsyncIterator[Self]:
        """A recognizer whose members are probed during outages."""
        relay = Relay(Stage.RECOGNITION, recognizers, rules)
        async with relay.probed(probe_recognizer):
            yield cls(relay)

    @property
    def name(self) -> str:
        """The names of all recognizers."""
        return self._relay.name

    @property
    def is_streaming(self) -> bool:
        """Whether the first is; the audio reaches the others as it reaches that one."""
        return self._relay.providers[0].is_streaming

    @property
    def detects_turn_ends(self) -> bool:
        """Whether all do: else a turn would not end when another takes over."""
        return all(each.detects_turn_ends for each in self._relay.providers)

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the hypotheses of those that are asked, and one final transcript."""
        async with Recording.of(_bounded(audio)) as recording:

            def ask(recognizer: Recognizer, patience_s: float | None) -> AsyncIterator[Transcript]:
                patience = Patience(patience_s)
                replayed = _noted_end(recording.replay(), patience.begin)
                hypotheses = recognizer.transcribe(replayed, request)
                return patience.apply(concluded(hypotheses, recognizer.name))

            answers = self._relay.relay(ask, is_delivery=lambda transcript: transcript.is_final)
            async with closing(answers) as transcripts:
                async for transcript in transcripts:
                    yield transcript


async def _bounded(audio: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async with closing(audio):
        async for pcm in audio:
            size += len(pcm)
            if duration_s(size, LISTENING_RATE_HERTZ) > LONGEST_S:
                raise refused(
                    Reason.AUDIO_TOO_LONG,
                    "audio.pcm",
                    "max_duration",
                    f"an utterance is at most {LONGEST_S:g} seconds long",
                )
            yield pcm


async def _noted_end(
    audio: AsyncIterator[bytes], on_over: Callable[[], None]
) -> AsyncIterator[bytes]:
    async with closing(audio):
        async for pcm in audio:
            yield pcm
    on_over()
