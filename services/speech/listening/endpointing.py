"""How long a pause must be before the user counts as finished: by prosody and by words."""

import re
from dataclasses import dataclass

from services.speech.listening.rules import ListeningRules
from services.speech.text.segmentation import is_cjk

_FINISHED = re.compile(r"[.!?。！？][\"'”’)]*$")
_OPEN = re.compile(r"(\.\.\.|…|[,，、;；:：—-])$")
_FINAL_PARTICLE = re.compile(r"[吗吧呢啊呀了]\W*$")
_LAST_WORD = re.compile(r"([^\W_]+(?:['’][^\W_]+)*)\W*$")

_TRAILING_WORDS = frozenset(
    (
        *("a", "an", "the", "my", "your", "his", "our", "their", "its", "every", "which", "whose"),
        *("and", "or", "but", "because", "if", "than", "as", "of", "to", "from", "with", "into"),
        *("at", "by", "for", "i'm", "you're", "we're", "they're", "i'd", "i'll", "uh", "um", "er"),
    )
)
_TRAILING_CHINESE = re.compile(
    r"(和|跟|与|或者|但是|可是|因为|所以|如果|要是|就是|然后|还有|而且|那个|这个|呃|嗯|把|被|从|向"
    r"|我想|帮我|^\w{1,3}的)\W*$"
)
"""Words that nobody ends a sentence with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """What is known about an utterance at a pause; None: not known yet, or never."""

    completion: float | None
    """What the turn model says, 0..1."""
    text: str | None


def patience_s(pause: Pause, rules: ListeningRules) -> float:
    """Return the silence that ends the utterance.

    Either judge alone is often wrong: the model hears a cut-off phrase as finished, and a
    recogniser writes a full stop after it. Where they agree, little time is lost.
    """
    sounds_finished = (
        None if pause.completion is None else pause.completion > rules.complete_probability
    )
    if pause.text is None:
        return rules.unknown_silence_s if sounds_finished else rules.incomplete_silence_s
    if _is_unfinished(pause.text):
        return rules.incomplete_silence_s
    if sounds_finished is None:
        return rules.unknown_silence_s
    match sounds_finished, _reads_finished(pause.text):
        case (True, True) | (True, None):
            return rules.complete_silence_s
        case (False, False) | (False, None):
            return rules.incomplete_silence_s
        case _:
            return rules.unknown_silence_s


def _reads_finished(text: str) -> bool | None:
    """Whether the text ends like a sentence; None where recognisers end every text like that."""
    text = text.strip()
    if text and is_cjk(text.rstrip("。.")[-1:] or "."):
        return True if _FINAL_PARTICLE.search(text) else None
    return _FINISHED.search(text) is not None


def _is_unfinished(text: str) -> bool:
    """Whether the words call for more, whatever the prosody."""
    text = text.strip()
    last = found.group(1).lower() if (found := _LAST_WORD.search(text)) else ""
    return (
        _OPEN.search(text) is not None
        or last in _TRAILING_WORDS
        or _TRAILING_CHINESE.search(text) is not None
    )
