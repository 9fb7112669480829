"""Finds what a persona knows about a question."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from services.speech.dialogue.paraphrases import Paraphrases
from services.speech.dialogue.words import Vocabulary, written_words
from services.speech.personas.catalogue import Fact
from services.speech.ports import Embedder

UNRELATED_LIKENESS = 0.82
UNRELATED_WEIGHT = 3
"""How like two texts are that have nothing in common, and how many facts that is worth: of a
persona with few facts, the others alone would tell too little."""

RELEVANT_LEAD = 0.03
"""A fact with less is not about the question at all."""

PARAPHRASES_S = 2.0
"""What comparing words may cost a reply on a busy machine, otherwise some 20 ms; without it, they
miss."""

UNNAMED_SHARE = 0.2
"""What stands for the share of missing words when a question names nothing: how much is it?"""

ANSWER_CHARACTERS = 100
"""What an answer is about stands at its beginning; more of it costs time at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A fact and how well it fits a question.

    `lead` is by how much its likeness to the question exceeds that of the other facts: unlike the
    likeness itself it bears comparing between languages and subjects. `likeness` (0..1) is that
    of the closest way in which the fact is asked for, `asked`. `missing` is the share (0..1) of
    what the question is about that does not stand in the fact, `unasked` of that which does not
    stand in the ways in which it is asked for; a word that few facts have weighs more.
    `paraphrases` are words of the question that stand in it otherwise: they do not miss.
    """

    fact: Fact
    lead: float
    likeness: float
    asked: str
    missing: float
    unasked: float
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
        """Embed all ways in which the facts are asked for, and their answers."""
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
        likeness = self._questions @ vector
        closest = [
            max(np.flatnonzero(self._owners == index), key=lambda at: float(likeness[at]))
            for index in range(len(self._facts))
        ]
        words = written_words(question)
        subjects = {word: self._weight(word) for word in words}
        scores = (likeness[closest] + self._answers @ vector) / 2
        order = np.argsort(-scores)[:limit]
        same = {int(order[0]): await self._said_otherwise(words, int(order[0]), scores)}
        return tuple(
            Match(
                fact=self._facts[index],
                lead=_lead(scores, index),
                likeness=float(likeness[closest[index]]),
                asked=self._question(int(closest[index])),
                missing=_share(subjects, self._known[index], same.get(index, frozenset())),
                unasked=_share(subjects, self._asked[index], same.get(index, frozenset())),
                paraphrases=same.get(index, frozenset()),
            )
            for index in map(int, order)
        )

    async def _said_otherwise(
        self, words: Mapping[str, str], index: int, scores: npt.NDArray[np.floating]
    ) -> frozenset[str]:
        """Return the words that miss from a fact and mean what it is asked for by."""
        if _lead(scores, index) < RELEVANT_LEAD:
            return frozenset()
        missing = self._known[index].missing(words)
        try:
            async with asyncio.timeout(PARAPHRASES_S):
                return await self._paraphrases.find(
                    {word: words[word] for word in missing}, self._facts[index].questions
                )
        except TimeoutError:
            return frozenset()

    def _weight(self, word: str) -> float:
        return 1 / max(1, sum(known.holds(word) for known in self._known))

    def _question(self, at: int) -> str:
        owner = int(self._owners[at])
        return self._facts[owner].questions[at - int(np.flatnonzero(self._owners == owner)[0])]


def _share(subjects: Mapping[str, float], known: Vocabulary, same: frozenset[str]) -> float:
    if not subjects:
        return UNNAMED_SHARE
    missing = (word for word in subjects if word not in same and not known.holds(word))
    return sum(subjects[word] for word in missing) / sum(subjects.values())


def _lead(scores: npt.NDArray[np.floating], index: int) -> float:
    others = float(scores.sum() - scores[index]) + UNRELATED_LIKENESS * UNRELATED_WEIGHT
    return float(scores[index]) - others / (len(scores) - 1 + UNRELATED_WEIGHT)
