"""Finds the words of a question that mean the same as words of a fact's questions."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from services.speech.dialogue.lexicon import is_chinese
from services.speech.dialogue.ports import Embedder
from services.speech.dialogue.words import surface_forms

MIN_SIMILARITY = {"en": 0.93, "zh": 0.945}
"""From here two words mean the same: 卫生间 and 洗手间 do, dentist and doctor do not."""

MAX_WORDS = 2
"""When a fact lacks more words of a question than this, it is not the subject anyway."""


class Paraphrases:
    """Compares words by meaning; the words of facts are embedded when they are first needed."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    async def find(self, words: Mapping[str, str], questions: Sequence[str]) -> frozenset[str]:
        """Return the content words, given with their surface forms, that the questions rephrase."""
        if not 0 < len(words) <= MAX_WORDS:
            return frozenset()
        asked = surface_forms("\n".join(questions))
        known = [await self._vector(form) for form in asked.values()]
        found = set()
        for word, form in words.items():
            vector = await self._embedder.embed_query(form)
            threshold = MIN_SIMILARITY["zh" if is_chinese(form) else "en"]
            if any(float(vector @ each) >= threshold for each in known):
                found.add(word)
        return frozenset(found)

    async def _vector(self, word: str) -> npt.NDArray[np.float32]:
        if word not in self._known:
            self._known[word] = await self._embedder.embed_query(word)
        return self._known[word]
