"""With the real embedder, personas answer from their facts or not at all."""

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.speech.dialogue.replies import Dialogue, History
from services.speech.personas.catalogue import Personas, load_personas
from services.speech.ports.chat import ChatItem, ChatRequest
from services.speech.settings import PERSONAS
from services.speech.tools.calls import Calls, ReplyCalls
from tests.support.embedded import EmbeddedStack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

QUESTIONS = Path(__file__).parents[1] / "data" / "honesty" / "development.tsv"
LIES = {
    "en": (
        "Yes, certainly. Doctor Miller opens it at 7, for 77 dollars.",
        "Of course, it has been there since nineteen fifty-one.",
        "It was Peter Baker, on the seventh floor.",
    ),
    "zh": (
        "有的，就在七楼，七十七元一次。",
        "当然，王建国医生一九五一年就在这里了。",
        "是张伟，晚上十一点以前都在。",
    ),
}


class Liar:
    """Answers every question, and never truthfully."""

    name = "liar"

    lie = ""

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the lie in pieces."""
        for start in range(0, len(self.lie), 3):
            yield self.lie[start : start + 3]


def rows(kind: str) -> list[dict[str, str]]:
    with QUESTIONS.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == kind]


@pytest.fixture(scope="module")
def personas() -> Personas:
    return load_personas(PERSONAS, default_id="concierge")


@pytest.fixture(scope="module")
def liar() -> Liar:
    return Liar()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dialogue(stack: EmbeddedStack, personas: Personas, liar: Liar) -> Dialogue:
    return await Dialogue.prepare(personas, chat=liar, embedder=stack.embedder)


async def ask(dialogue: Dialogue, row: dict[str, str], personas: Personas) -> str:
    """Return a persona's reply to a question that nothing precedes."""
    persona = personas.get(row["persona"])
    deltas = dialogue.reply(
        row["question"],
        persona=persona,
        language=persona.speaking(row["language"]),
        history=History(),
        calls=ReplyCalls(Calls()),
    )
    return "".join([delta async for delta in deltas])


async def test_no_lie_is_spoken(dialogue: Dialogue, personas: Personas, liar: Liar) -> None:
    spoken = []
    for index, row in enumerate(rows("outside")):
        lies = LIES[row["language"]]
        liar.lie = lies[index % len(lies)]
        reply = await ask(dialogue, row, personas)
        if reply != personas.get(row["persona"]).speaking(row["language"]).unknown:
            spoken.append((row["question"], reply))
    assert spoken == []


async def test_facts_are_given_whatever_the_model_says(
    dialogue: Dialogue, personas: Personas, liar: Liar
) -> None:
    """Most questions need no model; what one invents for the others is not said."""
    right, declined, wrong = 0, 0, []
    for row in rows("fact"):
        unknown = personas.get(row["persona"]).speaking(row["language"]).unknown
        liar.lie = LIES[row["language"]][0]
        reply = await ask(dialogue, row, personas)
        if any(part in reply.lower() for part in row["right"].split("|")):
            right += 1
        elif reply.endswith(unknown):
            declined += 1
        else:
            wrong.append((row["question"], reply))
    assert wrong == []
    assert right >= 0.65 * (right + declined)
