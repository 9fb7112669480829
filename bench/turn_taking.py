"""How soon the end of a sentence is detected: `python -m bench.turn_taking`, printed as JSON.

Plays recordings in real time into an open microphone with the embedded models, each followed by
silence, and measures the time from the last voiced frame to the end of the utterance.
"""

import argparse
import asyncio
import json
import os
import statistics
import wave
from collections.abc import Sequence
from pathlib import Path

from services.speech.embedded.detector import EarshotDetector
from services.speech.embedded.library import (
    ASSETS,
    RECOGNITION_MODEL,
    LibrarySettings,
    open_store,
)
from services.speech.embedded.turn_end import SmartTurnModel
from services.speech.embedded.whisper import WhisperRecognizer
from services.speech.listening.detector import Utterance
from services.speech.listening.hearing import Hearing, OnHypothesis, RepeatedHearing
from services.speech.listening.interruption import UtteranceKind
from services.speech.listening.ports import TurnEndModel
from services.speech.listening.recognition import recognise
from services.speech.listening.rules import ListeningRules
from services.speech.listening.turn_detector import Speaking, TurnDetector
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript

RECORDINGS = Path(__file__).parents[1] / "tests" / "data" / "speech"
MESSAGE_BYTES = 640
MESSAGE_S = 0.02
SILENCE_S = 2.0


class _Floor:
    """Notes when utterances end."""

    speaking = Speaking.SILENT
    recent_speech = ""

    def __init__(self, recognizer: Recognizer, language_code: str) -> None:
        self._recognizer = recognizer
        self._language_code = language_code
        self.delays_s: list[float] = []

    async def recognise(self, pcm: bytes) -> Transcript:
        request = RecognitionRequest(language_codes=(self._language_code,))
        return await recognise(self._recognizer, pcm, request)

    def open_hearing(self, on_hypothesis: OnHypothesis, first_s: float) -> Hearing:
        """Hear it by repeated recognition."""
        return RepeatedHearing(self.recognise, on_hypothesis, first_s=first_s)

    def note_words(self, transcript: Transcript) -> None: ...

    def note_speech(self, start_s: float) -> None: ...

    def preempt(self, transcript: Transcript) -> None: ...

    def withdraw_preemptive_reply(self) -> None: ...

    def yield_floor(self) -> None: ...

    def ask(self, utterance: Utterance, transcript: "asyncio.Task[Transcript]") -> None:
        self.delays_s.append(utterance.ended_at - utterance.voiced_at)

    async def dismiss(self, kind: UtteranceKind, text: str) -> None: ...

    def prompt(self) -> None: ...


async def _delay_s(
    pcm: bytes, *, recognizer: Recognizer, turn_end: TurnEndModel, language_code: str
) -> float:
    floor = _Floor(recognizer, language_code)
    microphone = TurnDetector(
        detector=EarshotDetector(),
        rules=ListeningRules(),
        turn_end=turn_end,
        floor=floor,
        language_code=language_code,
    )
    heard = pcm + bytes(round(SILENCE_S / MESSAGE_S) * MESSAGE_BYTES)
    loop = asyncio.get_running_loop()
    async with microphone.running():
        due_at = loop.time()
        for at in range(0, len(heard), MESSAGE_BYTES):
            microphone.push(heard[at : at + MESSAGE_BYTES])
            due_at += MESSAGE_S
            await asyncio.sleep(due_at - loop.time())
    return floor.delays_s[-1]


async def _measure(names: Sequence[str]) -> dict[str, object]:
    store = open_store(LibrarySettings())
    entries = json.loads((RECORDINGS / "manifest.json").read_text(encoding="utf-8"))
    delays_s = {}
    async with (
        WhisperRecognizer.load(store.folder(RECOGNITION_MODEL), threads=2) as recognizer,
        SmartTurnModel.load(ASSETS / "smart-turn-v3.2-cpu.onnx", threads=1) as turn_end,
    ):
        for entry in entries:
            if names and entry["file"] not in names:
                continue
            with wave.open(str(RECORDINGS / entry["file"])) as file:
                pcm = file.readframes(file.getnframes())
            delays_s[entry["file"]] = await _delay_s(
                pcm,
                recognizer=recognizer,
                turn_end=turn_end,
                language_code=entry["language_code"],
            )
    return {
        "recordings": len(delays_s),
        "load_average": os.getloadavg()[0],
        "endpoint_delay_p50_ms": round(1000 * statistics.median(delays_s.values())),
        "endpoint_delay_max_ms": round(1000 * max(delays_s.values())),
        "endpoint_delay_ms": {name: round(1000 * each) for name, each in delays_s.items()},
    }


def main() -> None:
    """Measure all recordings, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="*", help="file names; default: all")
    print(json.dumps(asyncio.run(_measure(parser.parse_args().recordings)), indent=2))


if __name__ == "__main__":
    main()
