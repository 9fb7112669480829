"""Finds what a persona knows about a question."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from services.speech.dialogue.paraphrases import Paraphrases
from services.speech.dialogue.ports import Embedder
from services.speech.dialogue.words import Vocabulary, surface_forms
from services.speech.personas.catalogue import Fact

UNRELATED_SIMILARITY = 0.82
UNRELATED_WEIGHT = 3
"""The similarity of two unrelated texts, and how many facts it counts as: in a persona with few
facts, the other facts alone would be too small a sample."""

MIN_RELEVANT_LEAD = 0.03
"""A fact below this has nothing to do with the question."""

PARAPHRASE_TIMEOUT_S = 2.0
"""How long comparing words may delay a reply on a busy machine; normally it takes about 20 ms.
After that they count as missing."""

DEFAULT_MISSING_SHARE = 0.2
"""The share of missing words for a question without content words: how much is it?"""

ANSWER_CHARACTERS = 100
"""The beginning of an answer has its subject; embedding more would slow down the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A fact and how well it fits a question.

    `lead` is how much more similar to the question it is than the other facts: unlike the
    similarity itself, it is comparable across languages and subjects. `similarity` (0..1) is that
    of `closest_question`, one of the ways to ask for the fact. `missing_share` (0..1) is the share
    of the question's content words that do not occur in the fact, `unasked_share` of those that do
    not occur in the ways to ask for it; a word that few facts have weighs more. `paraphrases` are
    words of the question that the fact has in another form; they do not count as missing.
    """

    fact: Fact
    lead: float
    similarity: float
    closest_question: str
    missing_share: float
    unasked_share: float
    paraphrases: frozenset[str] = frozenset()


class Knowledge:
    """A persona's facts in one language, searchable by meaning."""

    def __init__(
        self,
        *,
        facts: tuple[Fact, ...],
        owners: npt.NDArray[np.intp],
        questions: npt.NDArray[np.float32],
        answers: npt.NDArray[np.float32],
        embedder: Embedder,
    ) -> None:
        self._facts = facts
        self._owners = owners
        self._questions = questions
        self._answers = answers
        self._embedder = embedder
        self._paraphrases = Paraphrases(embedder)
        self._asked = [Vocabulary(fact.questions) for fact in facts]
        self._known = [Vocabulary((*fact.questions, fact.answer)) for fact in facts]

    @classmethod
    async def index(cls, facts: tuple[Fact, ...], embedder: Embedder) -> Self:
        """Embed every way to ask for the facts, and their answers."""
        owners = [index for index, fact in enumerate(facts) for _ in fact.questions]
        questions = [question for fact in facts for question in fact.questions]
        return cls(
            facts=facts,
            owners=np.array(owners, dtype=np.intp),
            questions=await embedder.embed_passages(questions),
            answers=await embedder.embed_passages(
                [fact.answer[:ANSWER_CHARACTERS] for fact in facts]
            ),
            embedder=embedder,
        )

    async def find(self, question: str, *, limit: int = 3) -> tuple[Match, ...]:
        """Return the facts closest to a question, best first."""
        if not self._facts:
            return ()
        vector = await self._embedder.embed_query(question)
        similarity = self._questions @ vector
        closest = [
            max(np.flatnonzero(self._owners == index), key=lambda at: float(similarity[at]))
            for index in range(len(self._facts))
        ]
        words = surface_forms(question)
        weights = {word: self._weight(word) for word in words}
        scores = (similarity[closest] + self._answers @ vector) / 2
        order = np.argsort(-scores)[:limit]
        best = int(order[0])
        paraphrases = {best: await self._find_paraphrases(words, best, scores)}
        return tuple(
            Match(
                fact=self._facts[index],
                lead=_lead(scores, index),
                similarity=float(similarity[closest[index]]),
                closest_question=self._question(int(closest[index])),
                missing_share=_missing_share(weights, self._known[index], same),
                unasked_share=_missing_share(weights, self._asked[index], same),
                paraphrases=same,
            )
            for index in map(int, order)
            for same in [paraphrases.get(index, frozenset())]
        )

    async def _find_paraphrases(
        self, words: Mapping[str, str], index: int, scores: npt.NDArray[np.floating]
    ) -> frozenset[str]:
        """Return the words that a fact lacks but that mean the same as one in its questions."""
        if _lead(scores, index) < MIN_RELEVANT_LEAD:
            return frozenset()
        missing = self._known[index].missing(words)
        try:
            async with asyncio.timeout(PARAPHRASE_TIMEOUT_S):
                return await self._paraphrases.find(
                    {word: words[word] for word in missing}, self._facts[index].questions
                )
        except TimeoutError:
            return frozenset()

    def _weight(self, word: str) -> float:
        return 1 / max(1, sum(known.contains(word) for known in self._known))

    def _question(self, at: int) -> str:
        owner = int(self._owners[at])
        return self._facts[owner].questions[at - int(np.flatnonzero(self._owners == owner)[0])]


def _missing_share(weights: Mapping[str, float], known: Vocabulary, same: frozenset[str]) -> float:
    if not weights:
        return DEFAULT_MISSING_SHARE
    missing = (word for word in weights if word not in same and not known.contains(word))
    return sum(weights[word] for word in missing) / sum(weights.values())


def _lead(scores: npt.NDArray[np.floating], index: int) -> float:
    others = float(scores.sum() - scores[index]) + UNRELATED_SIMILARITY * UNRELATED_WEIGHT
    return float(scores[index]) - others / (len(scores) - 1 + UNRELATED_WEIGHT)
