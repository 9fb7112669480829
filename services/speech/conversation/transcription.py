"""The user's words of an utterance, as a turn takes and publishes them."""

from collections.abc import Callable

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.conversation.events import TranscriptUpdated
from services.speech.conversation.turn_input import SpokenInput
from services.speech.listening.recognition import transcripts
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript
from services.speech.streams import closing, once

Publish = Callable[[TranscriptUpdated], None]


async def transcript_of(
    spoken: SpokenInput, recognizer: Recognizer, request: RecognitionRequest, *, publish: Publish
) -> Transcript:
    """Recognise an utterance, or wait for its recognition if that has begun.

    Publishes every hypothesis. Raises ServiceError, NO_SPEECH when there are no words.
    """
    if spoken.transcript is not None:
        transcript = _with_words(await spoken.transcript)
        publish(TranscriptUpdated(text=transcript.text, is_final=True))
        return transcript
    if not spoken.utterance.pcm:
        raise ServiceError(Reason.NO_SPEECH, "No speech was heard.")
    final = Transcript(text="", is_final=True)
    hypotheses = transcripts(recognizer, once(spoken.utterance.pcm), request)
    async with closing(hypotheses):
        async for transcript in hypotheses:
            final = transcript
            if transcript.text:
                publish(TranscriptUpdated(text=transcript.text, is_final=transcript.is_final))
    return _with_words(final)


def _with_words(transcript: Transcript) -> Transcript:
    if not transcript.text:
        raise ServiceError(Reason.NO_SPEECH, "No words were heard.")
    return transcript
