"""A voice for DriveByText behind an API like OpenAI's `/audio/speech`."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.message import Message
from typing import Any

import httpx
import numpy as np
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.audio.sound import SAMPLE_BYTES, Resampler, Samples
from engine.authorities import authorities
from engine.contract.parameters import TtsConfig
from engine.sources.speaker import Timbre
from engine.tasks.stage import FeedError

CONNECT_S = 5.0
SILENT_S = 60.0
DEFAULT_RATE = 24_000
"""For raw PCM without a stated rate, which is the model's."""

USUAL_VOLUME = 50
RATE_OCTAVE = 500
"""This speech rate is twice as fast, and its negative half as fast."""

log = structlog.get_logger()


class _Voice(BaseModel):
    id: str = Field(min_length=1, max_length=256)
    name: str = ""


class _Voices(BaseModel):
    model_config = ConfigDict(extra="ignore")

    voices: list[_Voice]


class PluggedVoice:
    """Offers the voices that the API lists, or none while it is unreachable."""

    sample_rate = DEFAULT_RATE

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def timbres(self) -> Sequence[Timbre]:
        """Return the voices of `GET /audio/voices`."""
        try:
            answer = await self._client.get("audio/voices")
            answer.raise_for_status()
            listed = _Voices.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("voices cannot be listed", error=type(error).__name__)
            return ()
        return tuple(
            Timbre(timbre_id=voice.id, name=voice.name or voice.id) for voice in listed.voices
        )

    async def speak(self, text: str, config: TtsConfig) -> AsyncIterator[bytes]:
        """Yield the answer of `POST /audio/speech` as mono at 24 kHz."""
        asked: dict[str, Any] = {
            "model": "tts",
            "input": text,
            "voice": config.timbre_id,
            "response_format": "pcm",
            "speed": round(2 ** (config.speech_rate / RATE_OCTAVE), 3),
        }
        try:
            async with self._client.stream("POST", "audio/speech", json=asked) as answer:
                if not answer.is_success:
                    raise FeedError(f"the voice answers HTTP {answer.status_code}")
                rate = _rate_of(answer.headers.get("content-type", ""))
                async for samples in _at_our_rate(_samples(answer.aiter_bytes()), rate):
                    yield _louder(samples, config.volume / USUAL_VOLUME).tobytes()
        except httpx.HTTPError as error:
            raise FeedError(f"the voice cannot be reached: {type(error).__name__}") from None


def _rate_of(content_type: str) -> int:
    message = Message()
    message["content-type"] = content_type or "/"
    rate = str(message.get_param("rate") or "")
    if not rate:
        return DEFAULT_RATE
    if not re.fullmatch(r"[0-9]{4,6}", rate) or not 8000 <= int(rate) <= 192_000:
        raise FeedError("the voice has an odd sample rate")
    return int(rate)


async def _samples(chunks: AsyncIterator[bytes]) -> AsyncIterator[Samples]:
    rest = b""
    async for chunk in chunks:
        rest += chunk
        whole = len(rest) - len(rest) % SAMPLE_BYTES
        if whole:
            yield np.frombuffer(rest[:whole], np.int16)
        rest = rest[whole:]


async def _at_our_rate(spoken: AsyncIterator[Samples], rate: int) -> AsyncIterator[Samples]:
    if rate == DEFAULT_RATE:
        async for samples in spoken:
            yield samples
        return
    resampler = Resampler(source_rate=rate, rate=DEFAULT_RATE)
    async for samples in spoken:
        for resampled in resampler.push(samples):
            yield resampled
    for resampled in resampler.flush():
        yield resampled


def _louder(samples: Samples, gain: float) -> Samples:
    if gain == 1:
        return samples
    limits = np.iinfo(np.int16)
    louder: Samples = np.clip(samples * gain, limits.min, limits.max).astype(np.int16)
    return louder


@asynccontextmanager
async def plugged_voice(url: str, key: str | None) -> AsyncIterator[PluggedVoice]:
    """Open the voice behind an API's base address."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(
        base_url=url,
        verify=authorities(),
        headers=headers,
        timeout=httpx.Timeout(SILENT_S, connect=CONNECT_S),
        trust_env=False,
    ) as client:
        yield PluggedVoice(client)
