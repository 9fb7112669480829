"""The user's words of an utterance, as a turn takes and publishes them."""

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
    async with closing(hypotheses):
        async for transcript in hypotheses:
            final = transcript
            if transcript.text:
                publish(TranscriptUpdated(text=transcript.text, is_final=transcript.is_final))
    return _with_words(final)


async def transcribed(recognition: "asyncio.Task[Transcript]", publish: Publish) -> Transcript:
    """Wait for a recognition that has begun; raises as `transcribe` does."""
    transcript = _with_words(await recognition)
    publish(TranscriptUpdated(text=transcript.text, is_final=True))
    return transcript


def _with_words(transcript: Transcript) -> Transcript:
    if not transcript.text:
        raise ServiceError(Reason.NO_SPEECH, "No words were heard.")
    return transcript
