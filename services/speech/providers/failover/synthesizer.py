"""Synthesizers in order: the next one speaks a segment when one stays silent."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from services.runtime.errors import ServiceError
from services.speech.answers import audible
from services.speech.ports import SpeechChunk, Stage, Synthesizer, Voice, WordTime
from services.speech.providers.failover.relay import FailoverRules, Relay
from services.speech.providers.failover.resampling import Resampler
from services.speech.providers.probes import probe_synthesizer
from services.speech.streams import beginning, closing
from services.speech.voices import choose_voice


class FailoverSynthesizer:
    """One synthesizer made of several, with the sample rate and the voices of the first.

    Another one speaks with its own voice: the one that `voices_of` names for the wanted voice, else
    its first for the language. A segment that was heard in part is not started again.
    """

    def __init__(self, relay: Relay[Synthesizer], voices_of: Mapping[str, str]) -> None:
        self._relay = relay
        self._first = relay.providers[0]
        self._voices_of = voices_of

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        synthesizers: Sequence[Synthesizer],
        rules: FailoverRules,
        *,
        voices_of: Mapping[str, str],
    ) -> AsyncIterator[Self]:
        """A synthesizer whose members are probed during outages."""
        relay = Relay(Stage.SYNTHESIS, synthesizers, rules)
        async with relay.probed(probe_synthesizer):
            yield cls(relay, voices_of)

    @property
    def name(self) -> str:
        """The names of all synthesizers."""
        return self._relay.name

    @property
    def sample_rate_hertz(self) -> int:
        """The rate of the first."""
        return self._first.sample_rate_hertz

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices of the first."""
        return self._first.voices

    def synthesize(
        self, text: str, *, voice_id: str, language_code: str
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of one synthesizer; raises ProviderError."""
        voices = {
            each.name: self._voice_id(each, voice_id, language_code)
            for each in self._relay.providers
        }

        def ask(synthesizer: Synthesizer, patience_s: float | None) -> AsyncIterator[SpeechChunk]:
            chunks = synthesizer.synthesize(
                text, voice_id=voices[synthesizer.name] or "", language_code=language_code
            )
            heard = audible(chunks, synthesizer.name)
            return self._at_own_rate(beginning(heard, patience_s), synthesizer)

        return self._relay.relay(ask, suits=lambda each: voices[each.name] is not None)

    def _voice_id(self, synthesizer: Synthesizer, wanted: str, language_code: str) -> str | None:
        """Return the synthesizer's voice for the wanted one, None if none speaks the language."""
        if synthesizer is self._first:
            return wanted
        preferred = self._voices_of.get(wanted, wanted)
        try:
            voice = choose_voice(synthesizer.voices, language_code, preferred=preferred)
        except ServiceError:
            return None
        return voice.voice_id

    def _at_own_rate(
        self, chunks: AsyncIterator[SpeechChunk], synthesizer: Synthesizer
    ) -> AsyncIterator[SpeechChunk]:
        if synthesizer.sample_rate_hertz == self.sample_rate_hertz:
            return chunks
        resampler = Resampler(synthesizer.sample_rate_hertz, self.sample_rate_hertz)
        return _resampled(chunks, resampler)


async def _resampled(
    chunks: AsyncIterator[SpeechChunk], resampler: Resampler
) -> AsyncIterator[SpeechChunk]:
    words: tuple[WordTime, ...] = ()
    async with closing(chunks):
        async for chunk in chunks:
            words = chunk.words or words
            if pcm := resampler.feed(chunk.pcm):
                yield SpeechChunk(pcm=pcm, words=words)
    if rest := resampler.flush():
        yield SpeechChunk(pcm=rest, words=words)
