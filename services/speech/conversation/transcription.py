"""The user's words of an utterance, as a turn takes them and tells of them."""

import asyncio
from collections.abc import Callable

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.speech.conversation.events import TranscriptUpdated
from services.speech.listening.detector import Utterance
from services.speech.listening.recognition import transcripts
from services.speech.ports import Recognizer, Transcript
from services.speech.streams import closing

Publish = Callable[[TranscriptUpdated], None]


async def transcribe(
    utterance: Utterance, recognizer: Recognizer, *, language_code: str, publish: Publish
) -> Transcript:
    """Recognise an utterance; raises ServiceError, NO_SPEECH when there are no words."""
    if not utterance.pcm:
        raise ServiceError(Reason.NO_SPEECH, "No speech was heard.")
    final = Transcript(text="", is_final=True)
    hypotheses = transcripts(recognizer, utterance.pcm, language_code=language_code)
    async with closing(hypotheses) as timed:
        async for transcript in timed:
            final = transcript
            if transcript.text:
                publish(TranscriptUpdated(text=transcript.text, is_final=transcript.is_final))
    return _some(final)


async def transcribed(words: "asyncio.Task[Transcript]", publish: Publish) -> Transcript:
    """Wait for a recognition that has begun; raises as `transcribe` does."""
    transcript = _some(await words)
    publish(TranscriptUpdated(text=transcript.text, is_final=True))
    return transcript


def _some(transcript: Transcript) -> Transcript:
    if not transcript.text:
        raise ServiceError(Reason.NO_SPEECH, "No words were heard.")
    return transcript
