"""The smallest request to a provider of each stage: whether it answers is what counts."""

from services.speech.answers import audible, concluded, worded
from services.speech.ports import (
    LISTENING_RATE_HERTZ,
    ChatMessage,
    ChatModel,
    Recognizer,
    Role,
    Synthesizer,
)
from services.speech.streams import closing, once

SILENCE = bytes(LISTENING_RATE_HERTZ)
"""Half a second."""
_QUESTION = (ChatMessage(role=Role.USER, content="Say OK."),)
_TEXT = "OK."


async def probe_recognizer(recognizer: Recognizer, pcm: bytes = SILENCE) -> None:
    """Wait for the final transcript of what is no speech; raises ProviderError."""
    hypotheses = recognizer.transcribe(once(pcm), language_code="en")
    async with closing(concluded(hypotheses, recognizer.name)) as transcripts:
        async for _ in transcripts:
            pass


async def probe_chat(model: ChatModel) -> None:
    """Wait for the first word of a reply; raises ProviderError."""
    async with closing(worded(model.stream(_QUESTION), model.name)) as deltas:
        async for _ in deltas:
            return


async def probe_synthesizer(synthesizer: Synthesizer) -> None:
    """Wait for the first sound of a text; raises ProviderError."""
    voice = synthesizer.voices[0]
    language_code = voice.language_codes[0] if voice.language_codes else "en"
    chunks = synthesizer.synthesize(_TEXT, voice_id=voice.voice_id, language_code=language_code)
    async with closing(audible(chunks, synthesizer.name)) as heard:
        async for _ in heard:
            return
