"""The smallest request to a provider of each stage: whether it answers is what counts."""

from services.speech.answers import answered, concluded
from services.speech.ports.chat import ChatMessage, ChatModel, ChatRequest, Role
from services.speech.ports.errors import ProviderMuteError
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Recognizer
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechRequest, Synthesizer
from services.speech.streams import closing, once

SILENCE = bytes(LISTENING_RATE_HERTZ)
"""Half a second."""
_QUESTION = ChatRequest(messages=(ChatMessage(role=Role.USER, content="Say OK."),))
_TEXT = "OK."


async def probe_recognizer(recognizer: Recognizer, pcm: bytes = SILENCE) -> None:
    """Wait for the final transcript of what is no speech; raises ProviderError."""
    hypotheses = recognizer.transcribe(once(pcm), RecognitionRequest(language_codes=("en",)))
    async with closing(concluded(hypotheses, recognizer.name)) as transcripts:
        async for _ in transcripts:
            pass


async def probe_chat(model: ChatModel) -> None:
    """Wait for the first word of a reply; raises ProviderError."""
    async with closing(answered(model.stream(_QUESTION), model.name)) as deltas:
        async for _ in deltas:
            return


async def probe_synthesizer(synthesizer: Synthesizer) -> None:
    """Wait for the first sound of a text; raises ProviderError."""
    voice = synthesizer.voices[0]
    language_code = voice.language_codes[0] if voice.language_codes else "en"
    request = SpeechRequest(voice_id=voice.voice_id, language_code=language_code)
    async with closing(synthesizer.speak(once(_TEXT), request)) as chunks:
        async for chunk in chunks:
            if any(chunk.pcm):
                return
    raise ProviderMuteError(Stage.SYNTHESIS, synthesizer.name, "no sound")
