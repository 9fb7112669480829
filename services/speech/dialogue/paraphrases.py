"""Finds the words of a question that say otherwise what a fact is asked for by."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from services.speech.dialogue.lexicon import is_chinese
from services.speech.dialogue.words import written_words
from services.speech.ports import Embedder

SAME_LIKENESS = {"en": 0.93, "zh": 0.945}
"""From this on two words mean the same: 卫生间 and 洗手间 do, a dentist is no doctor."""

MOST_WORDS = 2
"""Of a question with more words that the fact lacks, the fact is not the subject anyway."""


class Paraphrases:
    """Compares words by their meaning; those of the facts are embedded when first needed."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    async def find(self, words: Mapping[str, str], questions: Sequence[str]) -> frozenset[str]:
        """Return which content words, given as they are written, the questions say otherwise."""
        if not 0 < len(words) <= MOST_WORDS:
            return frozenset()
        asked = written_words("\n".join(questions))
        known = [await self._vector(written) for written in asked.values()]
        found = set()
        for word, written in words.items():
            vector = await self._embedder.embed_query(written)
            least = SAME_LIKENESS["zh" if is_chinese(written) else "en"]
            if any(float(vector @ each) >= least for each in known):
                found.add(word)
        return frozenset(found)

    async def _vector(self, word: str) -> npt.NDArray[np.float32]:
        if word not in self._known:
            self._known[word] = await self._embedder.embed_query(word)
        return self._known[word]
