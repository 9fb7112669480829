"""A segment of a reply as listeners get it: its sentence when the audio begins, then the audio."""

from collections.abc import AsyncIterator

from services.speech.conversation.events import SentenceStarted
from services.speech.playback.voicing import Voicing
from services.speech.ports import SpeechChunk
from services.speech.streams import closing
from services.speech.text.alignment import SpokenForm
from services.speech.text.segmentation import Segment


async def sentence(
    segment: Segment, spoken: SpokenForm, voicing: Voicing, *, audio_s: float
) -> AsyncIterator[SentenceStarted | SpeechChunk]:
    """Yield what is spoken for a segment, from `audio_s` of the reply's audio on.

    Nothing begins before there is sound. Raises ServiceError.
    """
    is_begun = False
    async with closing(voicing.speak(spoken.text)) as chunks:
        async for chunk in chunks:
            if not is_begun:
                is_begun = True
                yield SentenceStarted(
                    text=spoken.text,
                    text_start=segment.start,
                    text_end=segment.end,
                    audio_s=audio_s,
                    words=chunk.words,
                )
            yield chunk
