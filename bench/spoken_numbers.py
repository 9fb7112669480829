"""`python -m bench.spoken_numbers`: which numbers of written sentences are heard, as JSON.

The embedded voice says each sentence of tests/data/spoken/by_ear.tsv as it is made speakable, the
embedded recognizer writes down what it hears, and a number has come back when its digits have.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.speech.embedded.library import (
    ASSETS,
    RECOGNITION_MODEL,
    SYNTHESIS_MODEL,
    LibrarySettings,
    open_store,
)
from services.speech.embedded.synthesizer import KokoroSynthesizer
from services.speech.embedded.whisper import WhisperRecognizer
from tests.support.spoken import Sentence, hear, sentences

TABLE = Path("tests/data/spoken/by_ear.tsv")
THREADS = 2


async def measure(written: Sequence[Sentence]) -> dict[str, Any]:
    """All figures, and the sentences whose numbers did not come back."""
    store = open_store(LibrarySettings())
    store.ensure((RECOGNITION_MODEL, SYNTHESIS_MODEL))
    [kokoro] = store.manifest[SYNTHESIS_MODEL].files
    async with (
        WhisperRecognizer.load(store.folder(RECOGNITION_MODEL), threads=THREADS) as recognizer,
        KokoroSynthesizer.load(
            store.folder(SYNTHESIS_MODEL) / kokoro.name,
            voices=ASSETS / "voices",
            threads=THREADS,
        ) as synthesizer,
    ):
        heard = [await hear(sentence, synthesizer, recognizer) for sentence in written]
    return {
        "languages": {
            language: {
                "sentences": sum(each.language == language for each in heard),
                "came_back": sum(each.language == language and each.came_back for each in heard),
            }
            for language in dict.fromkeys(each.language for each in written)
        },
        "heard": [
            {
                "language": each.language,
                "written": each.written,
                "spoken": each.spoken,
                "heard": each.heard,
                "came_back": each.came_back,
            }
            for each in heard
        ],
    }


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.spoken_numbers")
    parser.add_argument("--language", choices=("en", "zh"), help="one language only")
    parser.add_argument("--containing", default="", help="only sentences with this text")
    arguments = parser.parse_args()
    chosen = [
        each
        for each in sentences(TABLE)
        if arguments.language in (None, each.language) and arguments.containing in each.written
    ]
    print(json.dumps(asyncio.run(measure(chosen)), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
