"""Recognizers in order: when one fails, the next gets the whole utterance."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from services.speech.answers import concluded
from services.speech.ports import Recognizer, Stage, Transcript
from services.speech.providers.failover.recording import Recording
from services.speech.providers.failover.relay import FailoverRules, Relay
from services.speech.providers.probes import probe_recognizer
from services.speech.streams import closing


class FailoverRecognizer:
    """One recognizer made of several, which all get the same audio and language.

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

    async def transcribe(
        self, pcm: AsyncIterator[bytes], *, language_code: str
    ) -> AsyncIterator[Transcript]:
        """Yield the hypotheses of those that are asked, and one final transcript."""
        async with Recording.of(pcm) as recording:

            def ask(recognizer: Recognizer, patience_s: float | None) -> AsyncIterator[Transcript]:
                patience = _Patience(patience_s)
                audio = recording.replay(patience.begin)
                hypotheses = recognizer.transcribe(audio, language_code=language_code)
                return patience.apply(concluded(hypotheses, recognizer.name))

            answers = self._relay.relay(ask, is_delivery=lambda transcript: transcript.is_final)
            async with closing(answers) as transcripts:
                async for transcript in transcripts:
                    yield transcript


class _Patience:
    """How long a recognizer may take for each hypothesis once the audio has ended."""

    def __init__(self, within_s: float | None) -> None:
        self._within_s: float | None = None
        self._later_s = within_s
        self._limit: asyncio.Timeout | None = None

    def begin(self) -> None:
        """The recognizer has all of the audio."""
        self._within_s = self._later_s
        if self._limit is not None and self._within_s is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._within_s)

    async def apply(self, hypotheses: AsyncIterator[Transcript]) -> AsyncIterator[Transcript]:
        """Yield the same hypotheses; raises TimeoutError when one is late."""
        async with closing(hypotheses):
            while True:
                try:
                    async with asyncio.timeout(self._within_s) as self._limit:
                        hypothesis = await anext(hypotheses)
                except StopAsyncIteration:
                    return
                finally:
                    self._limit = None
                yield hypothesis
