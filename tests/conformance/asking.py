"""What the tests ask of an adapter."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from services.speech.ports.chat import ChatItem, ChatMessage, ChatRequest, Role
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Synthesizer
from services.speech.streams import Deadlines
from tests.conformance.script import sound_of
from tests.conformance.subject import PATIENT, Subject

SPEECH = bytes(range(256)) * 126
"""A second of sound."""
PACKET_BYTES = 333
"""An odd size: adapters cut packets of their own."""
TEXTS = ("Good morning, Parley.", " How are you today?")
GREETING = ChatRequest(messages=(ChatMessage(role=Role.USER, content="Good morning!"),))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what a server is about to see."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def sound(pcm: bytes = SPEECH, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """Yield sound, and end when an event is set."""
    for place in range(0, len(pcm), PACKET_BYTES):
        yield pcm[place : place + PACKET_BYTES]
    if then is not None:
        await then.wait()


async def each(*texts: str) -> AsyncIterator[str]:
    """Yield texts."""
    for text in texts:
        yield text


def hearing(language: str = "en-US", *hot_words: str) -> RecognitionRequest:
    """A request to recognize."""
    return RecognitionRequest(language_codes=(language,), hot_words=hot_words)


def speaking(
    synthesizer: Synthesizer, language: str = "en-US", *, voice: int = 0, speed: float = 1.0
) -> SpeechRequest:
    """A request to speak, with one of the voices."""
    voice_id = synthesizer.voices[voice].voice_id
    return SpeechRequest(voice_id=voice_id, language_code=language, speed=speed)


async def heard(recognizer: Recognizer, request: RecognitionRequest) -> list[Transcript]:
    """Return all transcripts of a second of sound."""
    return [transcript async for transcript in recognizer.transcribe(sound(), request)]


async def spoken(
    synthesizer: Synthesizer, texts: Sequence[str], request: SpeechRequest | None = None
) -> list[SpeechChunk]:
    """Return all chunks of a reply."""
    request = request or speaking(synthesizer)
    return [chunk async for chunk in synthesizer.speak(each(*texts), request)]


async def ask(subject: Subject, provider: Any, server: Any) -> None:
    """Ask a provider of any stage for something, and check what it gives; raises ProviderError."""
    match subject.stage:
        case Stage.RECOGNITION:
            transcripts = await heard(provider, hearing())
            assert transcripts[-1].text == server.utterance.final
        case Stage.CHAT:
            items = [item async for item in provider.stream(GREETING)]
            assert text_of(items) == "".join(server.reply.deltas)
        case Stage.SYNTHESIS:
            chunks = await spoken(provider, TEXTS)
            assert pcm_of(chunks) == sound_of("".join(TEXTS), provider.sample_rate_hertz)


def text_of(items: Sequence[ChatItem]) -> str:
    """Return the text of a written reply."""
    return "".join(item for item in items if isinstance(item, str))


def pcm_of(chunks: Sequence[SpeechChunk]) -> bytes:
    """Return the sound of a spoken reply."""
    return b"".join(chunk.pcm for chunk in chunks)


@asynccontextmanager
async def exchange(
    subject: Subject, deadlines: Deadlines = PATIENT
) -> AsyncIterator[tuple[Callable[[], Awaitable[None]], Any]]:
    """What asks a provider for something, and the server that it asks."""
    async with subject.server() as server, subject.open(server, deadlines) as provider:
        yield partial(ask, subject, provider, server), server
