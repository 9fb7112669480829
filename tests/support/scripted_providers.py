"""Providers that do what a test tells them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.runtime.pcm import byte_count
from services.speech.ports.chat import ChatItem, ChatMessage, ChatRequest
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice, WordTime
from services.speech.vendors.feeding import clause_by_clause


@dataclass(slots=True, kw_only=True)
class ScriptedRecognizer:
    """Hears the same words in every utterance, or what `hears` finds in its audio, or fails."""

    name: str = "scripted"
    hypotheses: Sequence[str] = ("hello there",)
    hears: Callable[[bytes], str] | None = None
    error: Exception | None = None
    first_s: float = 0.0
    gate: asyncio.Event | None = None
    heard: list[bytes] = field(default_factory=list)

    requests: list[RecognitionRequest] = field(default_factory=list)
    is_streaming: bool = False
    detects_turn_ends: bool = False

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the hypotheses, the last as final."""
        self.requests.append(request)
        utterance = b"".join([chunk async for chunk in audio])
        self.heard.append(utterance)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(self.first_s)
        if self.error is not None:
            raise self.error
        hypotheses = self.hypotheses if self.hears is None else (self.hears(utterance),)
        for hypothesis in hypotheses[:-1]:
            yield Transcript(text=hypothesis, is_final=False)
        yield Transcript(text=hypotheses[-1], is_final=True)


@dataclass(slots=True, kw_only=True)
class ScriptedChat:
    """Writes the same deltas to every prompt; waits at its gate before the last one."""

    name: str = "scripted"
    deltas: Sequence[str] = ("This is the answer to it. ", "And this is the second sentence.")
    error: Exception | None = None
    first_s: float = 0.0
    gate: asyncio.Event | None = None
    prompts: list[list[ChatMessage]] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    closed: int = 0

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the deltas; the error, if any, takes the place of the last."""
        self.prompts.append(list(request.messages))
        self.began.set()
        try:
            await asyncio.sleep(self.first_s)
            for delta in self.deltas[:-1]:
                yield delta
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            yield self.deltas[-1]
        finally:
            self.closed += 1


@dataclass(slots=True, kw_only=True)
class ScriptedSynthesizer:
    """Speaks every character for 50 ms, with word times; fails from a given call on."""

    name: str = "scripted"
    sample_rate_hertz: int = 24_000
    character_s: float = 0.05
    error: Exception | None = None
    fails_from: int = 0
    first_s: float = 0.0
    is_mute: bool = False
    spoken: list[str] = field(default_factory=list)
    spoken_by: list[str] = field(default_factory=list)
    voices: Sequence[Voice] = (
        Voice(voice_id="anna", display_name="Anna", language_codes=("en-US", "en-GB")),
        Voice(voice_id="wei", display_name="Wei", language_codes=("zh",)),
    )

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio text by text."""
        return clause_by_clause(
            texts,
            lambda text: self._speak_text(text, request.voice_id),
            provider=self.name,
            sample_rate_hertz=self.sample_rate_hertz,
        )

    async def _speak_text(self, text: str, voice_id: str) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of a text in two chunks."""
        self.spoken.append(text)
        self.spoken_by.append(voice_id)
        await asyncio.sleep(self.first_s)
        if self.error is not None and len(self.spoken) > self.fails_from:
            raise self.error
        if self.is_mute:
            return
        half = byte_count(len(text) * self.character_s / 2, self.sample_rate_hertz)
        yield SpeechChunk(pcm=b"\x01\x00" * (half // 2), words=self.words(text))
        yield SpeechChunk(pcm=b"\x01\x00" * (half // 2))

    def words(self, text: str) -> tuple[WordTime, ...]:
        """Return when the words of a text are heard."""
        words, start = [], 0
        for word in text.split(" "):
            end = start + len(word)
            words.append(
                WordTime(
                    start=start,
                    end=end,
                    start_s=start * self.character_s,
                    end_s=end * self.character_s,
                )
            )
            start = end + 1
        return tuple(words)


async def text_of(items: AsyncIterator[ChatItem]) -> str:
    """Return what a reply says."""
    return "".join([item async for item in items if isinstance(item, str)])


class LetterEmbedder:
    """Likens texts by the letters that they share."""

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (len(texts), 128)."""
        return np.array([self._embed(text) for text in texts], np.float32).reshape(-1, 128)

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Shape (128,)."""
        return self._embed(text)

    @staticmethod
    def _embed(text: str) -> npt.NDArray[np.float32]:
        vector = np.full(128, 1e-6, np.float32)
        for character in text.lower():
            vector[ord(character) % 128] += 1
        unit: npt.NDArray[np.float32] = vector / np.linalg.norm(vector)
        return unit
