"""What was said in an utterance."""

from collections.abc import AsyncIterator
from dataclasses import replace

from services.speech.answers import concluded
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript
from services.speech.providers.failures import provider_failures
from services.speech.streams import closing, once


async def transcripts(
    recognizer: Recognizer, audio: AsyncIterator[bytes], request: RecognitionRequest
) -> AsyncIterator[Transcript]:
    """Yield hypotheses, the last one final; raises ServiceError."""
    hypotheses = concluded(recognizer.transcribe(audio, request), recognizer.name)
    with provider_failures():
        async with closing(hypotheses):
            async for each in hypotheses:
                yield replace(each, text=each.text.strip())


async def recognise(recognizer: Recognizer, pcm: bytes, request: RecognitionRequest) -> Transcript:
    """Return the final transcript, empty when there are no words; raises ServiceError."""
    final = Transcript(text="", is_final=True)
    async with closing(transcripts(recognizer, once(pcm), request)) as hypotheses:
        async for transcript in hypotheses:
            final = transcript
    return final
