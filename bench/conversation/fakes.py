"""Providers with exact durations, so that everything else that is measured is ours."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from services.runtime.pcm import byte_count
from services.speech.ports.chat import ChatItem, ChatRequest
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice
from services.speech.vendors.feeding import clause_by_clause

RECOGNITION_S = 0.1
FIRST_TOKEN_S = 0.15
TOKEN_S = 1 / 50
FIRST_CHUNK_S = 0.08
SPEED = 5.0
"""How many times faster than real time audio is synthesised after the first chunk."""

CHUNK_S = 0.1
CHARACTER_S = 0.065
OUTPUT_RATE_HERTZ = 24_000
_LOUD = 8_000

_PLAIN = "I will gladly show you the way to the old garden today."
_CLAUSE = "With the very greatest pleasure, I will show you the garden tonight."


USERS_STEP = 10
"""Between the numbers of the same question of two users."""


class Question(IntEnum):
    """What a user asks, and so the reply that is wanted.

    Question and user are one number, encoded in the loudness of the audio.
    """

    TWO_SENTENCES = 1
    ONE_SENTENCE = 2
    EIGHT_SENTENCES = 3
    CLAUSE = 4
    LONG = 5


REPLIES = {
    Question.TWO_SENTENCES: (_PLAIN, _PLAIN),
    Question.ONE_SENTENCE: (_PLAIN,),
    Question.EIGHT_SENTENCES: (_PLAIN,) * 8,
    Question.CLAUSE: (_CLAUSE, _PLAIN),
    Question.LONG: (_PLAIN,) * 4,
}


def voice_of(question: Question, seconds: float, rate_hertz: int, *, user: int = 0) -> bytes:
    """Return audio in which a user asks the question."""
    number = user * USERS_STEP + question
    return struct.pack("<h", _LOUD + number) * int(seconds * rate_hertz)


def number_in(text: str) -> int:
    """Return the number that a text ends with; other texts ask for two sentences."""
    number = text.rstrip(".").rpartition(" ")[2]
    is_known = number.isdecimal() and int(number) % USERS_STEP in REPLIES
    return int(number) if is_known else Question.TWO_SENTENCES


def reply_to(number: int) -> str:
    """Return the reply to a number that was asked."""
    return " ".join(REPLIES[Question(number % USERS_STEP)])


def ideal_s(question: Question) -> float:
    """Return the providers' own time from the end of speech to the first audio of the reply."""
    first = REPLIES[question][0]
    opening = first.partition(",")[0] if "," in first else first
    tokens = len(opening.split(" "))
    return RECOGNITION_S + FIRST_TOKEN_S + (tokens - 1) * TOKEN_S + FIRST_CHUNK_S


def reply_s(question: Question) -> float:
    """Return the duration of the reply."""
    return sum(len(sentence) for sentence in REPLIES[question]) * CHARACTER_S


class LoudnessDetector:
    """Detects a voice in frames whose first sample is loud."""

    @property
    def frame_bytes(self) -> int:
        """Like earshot's."""
        return 512

    def speech_probability(self, frame: bytes) -> float:
        """0 or 1."""
        return float(frame[:2] != b"\x00\x00")


class CertainTurnModel:
    """Takes every pause for the end of the turn."""

    async def completion_probability(self, pcm: bytes) -> float:
        """Always 1."""
        return 1.0


@dataclass(slots=True, kw_only=True)
class TimedRecognizer:
    """Recognises the question when its time is over."""

    name: str = "timed"
    is_streaming: bool = False
    detects_turn_ends: bool = False

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield one final."""
        pcm = b"".join([chunk async for chunk in audio])
        await asyncio.sleep(RECOGNITION_S)
        yield Transcript(text=f"Tell me more about number {asked(pcm)}.", is_final=True)


def asked(audio: bytes) -> int:
    """Return the number that audio asks."""
    if len(audio) < 2:
        return Question.TWO_SENTENCES
    (middle,) = struct.unpack_from("<h", audio, len(audio) // 4 * 2)
    found = middle - _LOUD
    is_known = found > 0 and found % USERS_STEP in REPLIES
    return found if is_known else Question.TWO_SENTENCES


@dataclass(slots=True, kw_only=True)
class TimedChat:
    """Generates one word per token, at the pace of a model."""

    name: str = "timed"

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply to the last question."""
        words = reply_to(number_in(request.messages[-1].content)).split(" ")
        loop = asyncio.get_running_loop()
        due = loop.time() + FIRST_TOKEN_S
        for index, word in enumerate(words):
            await asyncio.sleep(due - loop.time())
            yield word if index == 0 else f" {word}"
            due += TOKEN_S


@dataclass(slots=True, kw_only=True)
class TimedSynthesizer:
    """Gives every character the same duration."""

    name: str = "timed"
    sample_rate_hertz: int = OUTPUT_RATE_HERTZ
    voices: Sequence[Voice] = field(
        default=(Voice(voice_id="one", display_name="One", language_codes=("en-US", "zh-CN")),)
    )

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio, text by text."""
        return clause_by_clause(
            texts, self._speak_text, provider=self.name, sample_rate_hertz=self.sample_rate_hertz
        )

    async def _speak_text(self, text: str) -> AsyncIterator[SpeechChunk]:
        """Yield a text's audio in chunks of 100 ms."""
        left_s = len(text) * CHARACTER_S
        loop = asyncio.get_running_loop()
        due = loop.time() + FIRST_CHUNK_S
        while left_s > 0:
            await asyncio.sleep(due - loop.time())
            length_s = min(CHUNK_S, left_s)
            # Digital silence would count as no audio at all.
            yield SpeechChunk(pcm=b"\x01" * byte_count(length_s, self.sample_rate_hertz))
            left_s -= CHUNK_S
            due += CHUNK_S / SPEED
