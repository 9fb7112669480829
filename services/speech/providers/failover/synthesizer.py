"""Synthesizers in order: the next one speaks on from a text at which one fails."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import accumulate
from typing import Self

from services.runtime.failures.errors import ServiceError
from services.runtime.pcm import duration_s
from services.speech.answers import audible
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Synthesizer, Voice
from services.speech.providers.failover.patience import Patience
from services.speech.providers.failover.recording import Recording
from services.speech.providers.failover.relay import FailoverRules, Relay
from services.speech.providers.failover.resampling import Resampler
from services.speech.providers.probes import probe_synthesizer
from services.speech.streams import closing
from services.speech.voices import choose_voice


class FailoverSynthesizer:
    """One synthesizer made of several, with the sample rate and the voices of the first.

    Another one speaks with its own voice: the one that `voices_of` names for the wanted voice, by
    the synthesizer's name, else its first for the language. Styles and emotions are names of the
    first one's vendor, which only those `of_first_vendor` understand; others would refuse them. A
    text that was heard in part is not started again.
    """

    def __init__(
        self,
        relay: Relay[Synthesizer],
        voices_of: Mapping[str, Mapping[str, str]],
        of_first_vendor: Set[str],
    ) -> None:
        self._relay = relay
        self._first = relay.providers[0]
        self._voices_of = voices_of
        self._of_first_vendor = of_first_vendor

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        synthesizers: Sequence[Synthesizer],
        rules: FailoverRules,
        *,
        voices_of: Mapping[str, Mapping[str, str]],
        of_first_vendor: Set[str] = frozenset(),
    ) -> AsyncIterator[Self]:
        """A synthesizer whose members are probed during outages."""
        relay = Relay(Stage.SYNTHESIS, synthesizers, rules)
        async with relay.probed(probe_synthesizer):
            yield cls(relay, voices_of, of_first_vendor)

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

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of one synthesizer, or of several, text by text; raises ProviderError."""
        async with Recording.of(texts) as recording:
            progress = _Progress(rate_hertz=self.sample_rate_hertz)
            while True:
                began_at = progress.texts_done(recording.pieces)
                try:
                    rest = self._rest(recording, progress, request)
                    async with closing(rest) as chunks:
                        async for chunk in chunks:
                            progress.note(chunk)
                            yield chunk
                    return
                except ProviderError:
                    # What was heard in part is not started again.
                    is_further = progress.texts_done(recording.pieces) > began_at
                    if not (progress.is_between_texts and is_further):
                        raise

    def _rest(
        self, recording: Recording[str], progress: "_Progress", request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of the texts that are not spoken yet."""
        start, characters, seconds = (
            progress.texts_done(recording.pieces),
            progress.characters,
            progress.seconds,
        )
        requests = {each.name: self._request(each, request) for each in self._relay.providers}

        def ask(synthesizer: Synthesizer, patience_s: float | None) -> AsyncIterator[SpeechChunk]:
            patience = Patience(patience_s)
            given = _Given(recording.replay(start), patience.begin)
            own = requests[synthesizer.name]
            assert own is not None  # Only those that suit are asked.
            spoken = synthesizer.speak(given.texts(), own)
            heard = audible(spoken, synthesizer.name, is_due=lambda: given.is_any)
            timely = _until_first(patience, patience.apply(heard))
            return _moved(self._at_own_rate(timely, synthesizer), characters, seconds)

        return self._relay.relay(
            ask,
            is_delivery=lambda chunk: bool(chunk.pcm),
            suits=lambda each: requests[each.name] is not None,
        )

    def _request(self, synthesizer: Synthesizer, wanted: SpeechRequest) -> SpeechRequest | None:
        """Return the request in the synthesizer's terms; None if no voice speaks the language."""
        if synthesizer is self._first:
            return wanted
        pairs = self._voices_of.get(synthesizer.name, {})
        preferred = pairs.get(wanted.voice_id, wanted.voice_id)
        try:
            voice = choose_voice(synthesizer.voices, wanted.language_code, preferred=preferred)
        except ServiceError:
            return None
        own = replace(wanted, voice_id=voice.voice_id)
        if synthesizer.name in self._of_first_vendor:
            return own
        return replace(own, style="", emotion="")

    def _at_own_rate(
        self, chunks: AsyncIterator[SpeechChunk], synthesizer: Synthesizer
    ) -> AsyncIterator[SpeechChunk]:
        if synthesizer.sample_rate_hertz == self.sample_rate_hertz:
            return chunks
        resampler = Resampler(synthesizer.sample_rate_hertz, self.sample_rate_hertz)
        return _resampled(chunks, resampler)


class _Progress:
    """How far a reply has been spoken."""

    def __init__(self, *, rate_hertz: int) -> None:
        self.characters = 0
        self.is_between_texts = True
        self._rate_hertz = rate_hertz
        self._size = 0

    @property
    def seconds(self) -> float:
        """The audio so far."""
        return duration_s(self._size, self._rate_hertz)

    def note(self, chunk: SpeechChunk) -> None:
        """A chunk was yielded."""
        self._size += len(chunk.pcm)
        if chunk.text_end is not None:
            self.characters, self.is_between_texts = chunk.text_end, True
        elif chunk.pcm:
            self.is_between_texts = False

    def texts_done(self, texts: Sequence[str]) -> int:
        """Return how many of the texts were spoken."""
        ends = accumulate(map(len, texts))
        return sum(end <= self.characters for end in ends)


class _Given:
    """The texts that a synthesizer takes."""

    def __init__(self, texts: AsyncIterator[str], on_first: Callable[[], None]) -> None:
        self.is_any = False
        self._texts = texts
        self._on_first = on_first

    async def texts(self) -> AsyncIterator[str]:
        """Yield them."""
        async with closing(self._texts):
            async for text in self._texts:
                if not self.is_any:
                    self.is_any = True
                    self._on_first()
                yield text


async def _until_first(
    patience: Patience, chunks: AsyncIterator[SpeechChunk]
) -> AsyncIterator[SpeechChunk]:
    async with closing(chunks):
        async for chunk in chunks:
            patience.end()
            yield chunk


async def _moved(
    chunks: AsyncIterator[SpeechChunk], characters: int, seconds: float
) -> AsyncIterator[SpeechChunk]:
    async with closing(chunks):
        async for chunk in chunks:
            yield chunk.moved(characters, seconds)


async def _resampled(
    chunks: AsyncIterator[SpeechChunk], resampler: Resampler
) -> AsyncIterator[SpeechChunk]:
    async with closing(chunks):
        async for chunk in chunks:
            yield replace(chunk, pcm=resampler.feed(chunk.pcm))
        if rest := resampler.flush():
            yield SpeechChunk(pcm=rest)
