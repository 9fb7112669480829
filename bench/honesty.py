"""What the embedded stack answers: `python -m bench.honesty QUESTIONS.tsv`, printed as a table.

Each question is asked as text in a conversation of its own, with the real embedder and language
model. Columns: those of the questions, then the source of the words, the reply, and the
seconds until its first words. Judging is left to a reader.
"""

import argparse
import asyncio
import csv
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from services.speech.dialogue.replies import Dialogue, History
from services.speech.embedded.embedder import E5Embedder
from services.speech.embedded.library import LibrarySettings, choose_language_model, open_store
from services.speech.embedded.llama import LlamaChatModel
from services.speech.personas.catalogue import Persona, load_personas
from services.speech.providers.embedded import only_file
from services.speech.telemetry.metrics import ANSWERS
from services.speech.tools.calls import Calls, ReplyCalls

PERSONAS = Path(__file__).parents[1] / "personas"
SOURCES = ("declined", "curated", "model")
"""A reply that ends in a refusal counts as declined, whatever its source."""


async def _answer(dialogue: Dialogue, row: dict[str, str], persona: Persona) -> dict[str, str]:
    replies = dialogue.reply(
        row["question"],
        persona=persona,
        language=persona.speaking(row["language"]),
        history=History(),
        calls=ReplyCalls(Calls()),
    )
    before = {source: _count(source) for source in SOURCES}
    asked_at = time.monotonic()
    first_s = None
    reply = ""
    async for delta in replies:
        first_s = first_s or time.monotonic() - asked_at
        reply += delta
    source = next(source for source in SOURCES if _count(source) > before[source])
    return {**row, "source": source, "reply": reply.strip(), "first_s": f"{first_s or 0:.2f}"}


def _count(source: str) -> float:
    return float(ANSWERS.labels(source=source)._value.get())


async def _main(path: Path, only: str, threads: int) -> None:
    library = LibrarySettings()
    name = choose_language_model(library).model
    personas = load_personas(PERSONAS, default_id="concierge")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if only in row["persona"]]
    async with AsyncExitStack() as stack:
        embedder = await stack.enter_async_context(
            E5Embedder.load(threads=threads, cache=library.cache)
        )
        chat = None
        if name is not None:
            model = only_file(open_store(library), name)
            chat = await stack.enter_async_context(LlamaChatModel.load(model, threads=threads))
        dialogue = await Dialogue.prepare(personas, chat=chat, embedder=embedder)
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            answer = await _answer(dialogue, row, personas.get(row["persona"]))
            if writer is None:
                writer = csv.DictWriter(sys.stdout, [*answer], delimiter="\t", lineterminator="\n")
                writer.writeheader()
            writer.writerow(answer)
            sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--persona", default="", help="only personas whose id contains this")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.questions, arguments.persona, arguments.threads))
