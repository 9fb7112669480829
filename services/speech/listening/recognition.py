"""What was said in an utterance."""

from collections.abc import AsyncIterator
from dataclasses import replace

from services.speech.answers import concluded
from services.speech.ports import Recognizer, Transcript
from services.speech.providers.failures import provider_failures
from services.speech.streams import closing, once


async def transcripts(
    recognizer: Recognizer, pcm: bytes, *, language_code: str
) -> AsyncIterator[Transcript]:
    """Yield hypotheses, the last one final; raises ServiceError."""
    hypotheses = concluded(
        recognizer.transcribe(once(pcm), language_code=language_code), recognizer.name
    )
    with provider_failures():
        async with closing(hypotheses):
            async for each in hypotheses:
                yield replace(each, text=each.text.strip())


async def recognise(recognizer: Recognizer, pcm: bytes, *, language_code: str) -> Transcript:
    """Return the final transcript, empty when there are no words; raises ServiceError."""
    final = Transcript(text="", is_final=True)
    async with closing(transcripts(recognizer, pcm, language_code=language_code)) as hypotheses:
        async for transcript in hypotheses:
            final = transcript
    return final
