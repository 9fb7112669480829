"""Speaks in one voice; a mute synthesizer counts as an outage."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.speech.answers import audible, has_words
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Synthesizer
from services.speech.providers.failures import provider_failures
from services.speech.streams import closing
from services.speech.text.alignment import SILENCE, SpokenForm
from services.speech.text.normalization import speakable


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicing:
    """A synthesizer, and how it shall speak."""

    synthesizer: Synthesizer
    request: SpeechRequest

    def spoken(self, text: str) -> SpokenForm:
        """Return what is said for a written text; empty when none of it can be said."""
        spoken = speakable(text, self.request.language_code)
        return spoken if has_words(spoken.text) else SILENCE

    async def speak(self, spoken_texts: AsyncIterator[str]) -> AsyncIterator[SpeechChunk]:
        """Yield the audio; raises ServiceError when the synthesizer fails or is mute."""
        given = 0

        async def counted() -> AsyncIterator[str]:
            nonlocal given
            async with closing(spoken_texts):
                async for text in spoken_texts:
                    given += 1
                    yield text

        chunks = self.synthesizer.speak(counted(), self.request)
        heard = audible(chunks, self.synthesizer.name, is_due=lambda: given > 0)
        with provider_failures():
            async with closing(heard):
                async for chunk in heard:
                    yield chunk
