"""What was said in an utterance."""

from collections.abc import AsyncIterator

from services.speech.answers import concluded
from services.speech.failures import provider_failure
from services.speech.ports import ProviderError, Recognizer, Transcript
from services.speech.streams import closing, once


async def transcripts(
    recognizer: Recognizer, pcm: bytes, *, language_code: str
) -> AsyncIterator[Transcript]:
    """Yield hypotheses, the last one final; raises ServiceError."""
    hypotheses = concluded(
        recognizer.transcribe(once(pcm), language_code=language_code), recognizer.name
    )
    try:
        async with closing(hypotheses) as transcribed:
            async for each in transcribed:
                yield Transcript(text=each.text.strip(), is_final=each.is_final)
    except ProviderError as error:
        raise provider_failure(error) from error


async def recognise(recognizer: Recognizer, pcm: bytes, *, language_code: str) -> str:
    """Return the final text, empty when there are no words; raises ServiceError."""
    text = ""
    async with closing(transcripts(recognizer, pcm, language_code=language_code)) as hypotheses:
        async for transcript in hypotheses:
            text = transcript.text
    return text
