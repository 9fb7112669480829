"""Speaks the recordings of tests/data/answers with the embedded voices, by its manifest."""

import asyncio
import json
import wave
from pathlib import Path

from services.speech.embedded.library import (
    ASSETS,
    SYNTHESIS_MODEL,
    LibrarySettings,
    open_store,
)
from services.speech.embedded.synthesizer import KokoroSynthesizer
from services.speech.ports.synthesis import SpeechRequest
from services.speech.providers.embedded import only_file
from services.speech.streams import once
from tests.support.resampling import RATE_HERTZ, resample

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "answers"


async def speak() -> None:
    """Write all files anew."""
    store = open_store(LibrarySettings())
    store.ensure((SYNTHESIS_MODEL,))
    voice = only_file(store, SYNTHESIS_MODEL)
    async with KokoroSynthesizer.load(voice, voices=ASSETS / "voices", threads=1) as synthesizer:
        for entry in json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8")):
            request = SpeechRequest(voice_id=entry["voice"], language_code=entry["language_code"])
            chunks = synthesizer.speak(once(entry["text"]), request)
            pcm = b"".join([chunk.pcm async for chunk in chunks])
            with wave.open(str(FOLDER / entry["file"]), "wb") as file:
                file.setparams((1, 2, RATE_HERTZ, 0, "NONE", ""))
                file.writeframes(resample(pcm, synthesizer.sample_rate_hertz))


if __name__ == "__main__":
    asyncio.run(speak())
