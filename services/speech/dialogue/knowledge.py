"""Finds what a persona knows about a question."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from services.speech.personas import Fact
from services.speech.ports import Embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """When the best fact is taken for the answer: its likeness, and its lead on the next."""

    least_score: float = 0.87
    least_margin: float = 0.04
    least_relevance: float = 0.83
    """Facts below are not about the question at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Facts that fit a question, best first; `answer` is the curated one when there is no doubt."""

    facts: tuple[Fact, ...] = ()
    answer: str | None = None


class Knowledge:
    """A persona's facts in one language, searchable by meaning."""

    def __init__(
        self,
        *,
        facts: tuple[Fact, ...],
        owners: npt.NDArray[np.intp],
        vectors: npt.NDArray[np.float32],
        embedder: Embedder,
        certainty: Certainty,
    ) -> None:
        self._facts = facts
        self._owners = owners
        self._vectors = vectors
        self._embedder = embedder
        self._certainty = certainty

    @classmethod
    async def index(
        cls, facts: tuple[Fact, ...], embedder: Embedder, certainty: Certainty | None = None
    ) -> Self:
        """Embed all ways in which the facts are asked for."""
        owners = [index for index, fact in enumerate(facts) for _ in fact.questions]
        questions = [question for fact in facts for question in fact.questions]
        return cls(
            facts=facts,
            owners=np.array(owners, dtype=np.intp),
            vectors=await embedder.embed_passages(questions),
            embedder=embedder,
            certainty=certainty or Certainty(),
        )

    async def find(self, question: str, *, limit: int = 3) -> Findings:
        """Return the facts closest to a question."""
        if not self._facts:
            return Findings()
        likeness = self._vectors @ await self._embedder.embed_query(question)
        scores = np.full(len(self._facts), -1.0, np.float32)
        np.maximum.at(scores, self._owners, likeness)
        order = np.argsort(-scores)
        relevance = self._certainty.least_relevance
        found = tuple(self._facts[at] for at in order[:limit] if scores[at] >= relevance)
        best = float(scores[order[0]])
        margin = best - float(scores[order[1]]) if len(order) > 1 else 1.0
        sure = self._certainty
        is_certain = found and best >= sure.least_score and margin >= sure.least_margin
        return Findings(facts=found, answer=found[0].answer if is_certain else None)
