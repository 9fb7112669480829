"""`python -m bench.partial_words`: what words that are shown while spoken cost, as JSON lines.

The embedded recognizer hears recordings of tests/data/speech in real time, as an open microphone
would give them to it: once at their end, and with partial words.
"""

import asyncio
import json
import time
import wave
from pathlib import Path

from services.speech.embedded.library import RECOGNITION_MODEL, LibrarySettings, open_store
from services.speech.embedded.whisper import WhisperRecognizer
from services.speech.listening.hearing import RepeatedHearing
from services.speech.listening.recognition import recognise
from services.speech.listening.rules import ListeningRules
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Transcript

RECORDINGS = Path(__file__).parents[1] / "tests" / "data" / "speech"
THREADS = 2
MESSAGE = 1_024
EVERY = 4
"""Of the recordings, one in so many."""


async def measure(
    recognizer: WhisperRecognizer, name: str, language_code: str
) -> dict[str, object]:
    """Return the CPU seconds of one recording, and when which words were shown."""
    with wave.open(str(RECORDINGS / name)) as file:
        pcm = file.readframes(file.getnframes())
    request = RecognitionRequest(language_codes=(language_code,))

    async def hear(so_far: bytes) -> Transcript:
        return await recognise(recognizer, so_far, request)

    before = time.process_time()
    await hear(pcm)
    once_s = time.process_time() - before

    shown: list[tuple[float, str]] = []
    began_at, before = time.monotonic(), time.process_time()
    hearing = RepeatedHearing(
        hear,
        lambda each: shown.append((round(time.monotonic() - began_at, 2), each.text)),
        first_s=ListeningRules().barge_in_s,
    )
    for at in range(0, len(pcm), MESSAGE):
        spoken_s = at / 2 / LISTENING_RATE_HERTZ
        await asyncio.sleep(max(0.0, began_at + spoken_s - time.monotonic()))
        hearing.push(pcm[at : at + MESSAGE], voiced_s=spoken_s)
    final = await hearing.end(pcm)
    return {
        "recording": name,
        "length_s": round(len(pcm) / 2 / LISTENING_RATE_HERTZ, 1),
        "once_cpu_s": round(once_s, 2),
        "partial_cpu_s": round(time.process_time() - before, 2),
        "shown": shown,
        "final": final.text,
    }


async def main() -> None:
    """Print a line for each recording."""
    store = open_store(LibrarySettings())
    store.ensure((RECOGNITION_MODEL,))
    entries = json.loads((RECORDINGS / "manifest.json").read_text(encoding="utf-8"))
    async with WhisperRecognizer.load(
        store.folder(RECOGNITION_MODEL), threads=THREADS
    ) as recognizer:
        for entry in entries[::EVERY]:
            figures = await measure(recognizer, entry["file"], entry["language_code"])
            print(json.dumps(figures, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
