"""Declines replies in Latin letters to what is asked in Chinese: small models write such."""

import re
from collections.abc import AsyncIterator, Callable

from services.runtime.languages import primary
from services.speech.streams import closing
from services.speech.text.segmentation import has_cjk

_WORD = re.compile(r"[^\W\d_]{2,}")
_WORDS = 3
"""Fewer may be a name, or "OK"."""
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_NAMES_A_LANGUAGE = re.compile(
    r"\b(?:english|chinese|mandarin|translat\w*|language)\b|[英中汉外]语|[英中]文|翻译|普通话|语言",
    re.IGNORECASE,
)
"""Who asks for another language may be answered in it."""


async def in_own_language(
    deltas: AsyncIterator[str], user_text: str, language_code: str, *, decline: Callable[[], str]
) -> AsyncIterator[str]:
    """Yield a reply; `decline`'s words in place of one to a Chinese turn that is not Chinese.

    The beginning is held until its language is clear. The model is cancelled if it is wrong.
    """
    is_free = primary(language_code) != "zh" or _NAMES_A_LANGUAGE.search(user_text) is not None
    held = ""
    async with closing(deltas):
        async for delta in deltas:
            held += delta
            is_free = is_free or has_cjk(held)
            if is_free:
                yield held
                held = ""
            elif _is_foreign(held):
                yield decline()
                return
    if held:
        yield decline() if not is_free and _is_foreign(f"{held}\n") else held


def _is_foreign(beginning: str) -> bool:
    """Whether a text without Chinese is a whole sentence of another language."""
    return len(_WORD.findall(beginning)) >= _WORDS and _SENTENCE_END.search(beginning) is not None
