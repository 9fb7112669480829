"""A vendor's voice that says everything with the sound of one recording: speech that costs nothing.

What it says cannot be understood, but it is heard, moves the lips, and is as long as its text.
"""

import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.serving.http import serving_http
from services.speech.vendors.openai_speech import SAMPLE_RATE_HERTZ

RECORDING = Path(__file__).parents[1] / "data" / "speech" / "en_kokoro_af_heart_2.wav"
CHARACTER_S = 0.04


def recorded() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """The samples of the recording at the vendor's rate."""
    with wave.open(str(RECORDING)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
        step = file.getframerate() / SAMPLE_RATE_HERTZ
    at = np.arange(0, len(samples) - 1, step)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.int16)


@asynccontextmanager
async def recorded_voice() -> AsyncIterator[dict[str, str]]:
    """The settings with which a speech service speaks so, as long as the block lasts."""
    sound = recorded()

    async def speak(request: Request) -> Response:
        text = json.loads(await request.body())["input"]
        length = round(len(text) * CHARACTER_S * SAMPLE_RATE_HERTZ)
        return Response(np.resize(sound, length).tobytes(), media_type="audio/pcm")

    vendor = Starlette(routes=[Route("/v1/audio/speech", speak, methods=["POST"])])
    async with serving_http(vendor, host="127.0.0.1", port=0) as port:
        yield {
            "SPEECH_SYNTHESIZER": "openai",
            "SPEECH_SYNTHESIZER_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "SPEECH_SYNTHESIZER_API_KEY": "nobody-asks-for-it",
        }
