"""Opens the providers on the network: one arm for each, and nothing else knows their modules."""

from contextlib import AbstractAsyncContextManager
from typing import assert_never

from services.speech.ports import ChatModel, Recognizer, Synthesizer
from services.speech.provider_settings import (
    ChatVendor,
    OpenAiChatSettings,
    OpenAiSpeechSettings,
    OpenAiTranscriptionSettings,
    RecognizerVendor,
    SynthesizerVendor,
)
from services.speech.providers import openai_chat, openai_speech, openai_transcription
from services.speech.streams import Deadlines

RECOGNITION = Deadlines(first_s=20, next_s=20, total_s=20)
CHAT = Deadlines(first_s=15, next_s=10, total_s=60)
SYNTHESIS = Deadlines(first_s=15, next_s=10, total_s=60)


def open_recognizer(
    settings: RecognizerVendor, deadlines: Deadlines = RECOGNITION
) -> AbstractAsyncContextManager[Recognizer]:
    """A recognizer on the network."""
    match settings:
        case OpenAiTranscriptionSettings():
            return openai_transcription.open(settings, deadlines)
        case _:
            assert_never(settings)


def open_chat(
    settings: ChatVendor, deadlines: Deadlines = CHAT
) -> AbstractAsyncContextManager[ChatModel]:
    """A language model on the network."""
    match settings:
        case OpenAiChatSettings():
            return openai_chat.open(settings, deadlines)
        case _:
            assert_never(settings)


def open_synthesizer(
    settings: SynthesizerVendor, deadlines: Deadlines = SYNTHESIS
) -> AbstractAsyncContextManager[Synthesizer]:
    """A synthesizer on the network."""
    match settings:
        case OpenAiSpeechSettings():
            return openai_speech.open(settings, deadlines)
        case _:
            assert_never(settings)
