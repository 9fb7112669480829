"""`python -m bench.spoken_numbers`: which written numbers come back from speech, as JSON lines.

The embedded voice speaks each normalized sentence of tests/data/spoken/by_ear.tsv, the embedded
recognizer transcribes it, and a number has come back if its digits have.
"""

import argparse
import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Sequence

from services.speech.embedded.library import (
    ASSETS,
    RECOGNITION_MODEL,
    SYNTHESIS_MODEL,
    LibrarySettings,
    open_store,
)
from services.speech.embedded.synthesizer import KokoroSynthesizer
from services.speech.embedded.whisper import WhisperRecognizer
from tests.support.spoken import HeardSentence, Sentence, hear, sentences

THREADS = 2


async def measure(written: Sequence[Sentence]) -> AsyncGenerator[HeardSentence, None]:
    """Yield what is recognised of each sentence."""
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
        for sentence in written:
            yield await hear(sentence, synthesizer, recognizer)


async def tell(written: Sequence[Sentence]) -> None:
    """Print a line of JSON for each sentence, and one with the sums."""
    counts: Counter[str] = Counter()
    async with contextlib.aclosing(measure(written)) as heard:
        async for each in heard:
            counts[f"{each.language}_came_back"] += each.came_back
            counts[f"{each.language}_sentences"] += 1
            line = {
                "language": each.language,
                "written": each.written,
                "spoken": each.spoken,
                "heard": each.heard,
                "came_back": each.came_back,
            }
            print(json.dumps(line, ensure_ascii=False), flush=True)
    print(json.dumps(counts))


def main() -> None:
    """Print what was recognised."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.spoken_numbers")
    parser.add_argument("--language", choices=("en", "zh"), help="one language only")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many of the first")
    parser.add_argument("--containing", default="", help="only sentences with this text")
    arguments = parser.parse_args()
    chosen = [
        each
        for each in sentences()
        if arguments.language in (None, each.language) and arguments.containing in each.written
    ]
    asyncio.run(tell(chosen[arguments.skip :]))


if __name__ == "__main__":
    main()
