"""Declines replies in English to what is asked in Chinese: small models write such."""

import re
from collections.abc import AsyncIterator, Callable

from services.runtime.languages import primary
from services.speech.streams import closing
from services.speech.text.segmentation import has_cjk

_NAMES_A_LANGUAGE = re.compile(
    r"\b(?:english|chinese|mandarin|translat\w*|language)\b|[\u4e00-\u9fff][语文]|语言|翻译|普通话",
    re.IGNORECASE,
)
"""Who asks for another language may be answered in it."""
_SENTENCE = re.compile(r".*?[.!?]\s", re.DOTALL)
_PROSE = frozenset(
    ("is", "are", "was", "were", "be", "been", "have", "has", "had", "do", "does", "did", "can",
     "could", "will", "would", "should", "you", "we", "they", "it", "this", "that", "these",
     "your", "our", "there", "please", "not", "but", "if", "because")
)  # fmt: skip
"""English words of which names, titles and addresses seldom have two in lower case."""
_MARKS = ".,;:!?\"'()“”‘’"


def is_answered_in_chinese(question: str, language_code: str) -> bool:
    """Whether a question wants its answer in Chinese."""
    is_chinese = primary(language_code) == "zh" and has_cjk(question)
    return is_chinese and _NAMES_A_LANGUAGE.search(question) is None


async def without_english(
    deltas: AsyncIterator[str], *, decline: Callable[[], str]
) -> AsyncIterator[str]:
    """Yield a reply; `decline`'s words in place of one whose first sentence is English prose.

    That sentence is held until it ends or has a Chinese character. An empty delta says that it has
    begun. The model is cancelled if it is English.
    """
    held = ""
    async with closing(deltas):
        async for delta in deltas:
            held += delta
            if has_cjk(held) or _SENTENCE.match(held):
                break
            yield ""
        if _is_english(held):
            yield decline()
            return
        yield held
        async for delta in deltas:
            yield delta


def _is_english(beginning: str) -> bool:
    """Whether the first sentence, or all of an unfinished one, is English."""
    whole = _SENTENCE.match(beginning)
    sentence = whole[0] if whole else beginning
    words = {word.strip(_MARKS) for word in sentence.split()}
    return not has_cjk(sentence) and len(words & _PROSE) >= 2
