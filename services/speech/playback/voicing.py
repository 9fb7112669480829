"""Speaks segments in one voice; a mute synthesizer counts as an outage."""

from collections.abc import AsyncIterator

from services.speech.answers import audible, has_words
from services.speech.ports import SpeechChunk, Synthesizer
from services.speech.providers.failures import provider_failures
from services.speech.streams import closing
from services.speech.text.alignment import SILENCE, SpokenForm
from services.speech.text.normalization import speakable


class Voicing:
    """A synthesizer with a voice and a language."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        *,
        voice_id: str,
        language_code: str,
    ) -> None:
        self._synthesizer = synthesizer
        self._voice_id = voice_id
        self._language_code = language_code

    def spoken(self, text: str) -> SpokenForm:
        """Return what is said for a written text; empty when none of it can be said."""
        spoken = speakable(text, self._language_code)
        return spoken if has_words(spoken.text) else SILENCE

    async def speak(self, spoken_text: str) -> AsyncIterator[SpeechChunk]:
        """Yield the audio; raises ServiceError when the synthesizer fails or is mute."""
        chunks = self._synthesizer.synthesize(
            spoken_text, voice_id=self._voice_id, language_code=self._language_code
        )
        heard = audible(chunks, self._synthesizer.name)
        with provider_failures():
            async with closing(heard):
                async for chunk in heard:
                    yield chunk
