"""What a short utterance means while the digital human speaks, by its words alone."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from enum import StrEnum

from services.speech.text.segmentation import is_cjk


class UtteranceKind(StrEnum):
    """What an utterance is."""

    WORDS = "words"
    """It asks for an answer."""
    NOISE = "noise"
    """There are no words in it."""
    BACKCHANNEL = "backchannel"
    """It shows that the user listens."""
    ECHO = "echo"
    """It is the reply itself, coming back through the microphone."""


_BACKCHANNELS = {
    "en": """
        m mm mmm mhm hm hmm hmmm mhmm mmhm mmhmm uh uhhuh huh um ah aha oh ooh wow ha haha
        yeah yep yup ya yes ok okay kay right sure cool nice great good fine true exactly indeed
        really alright gotcha i see got it
    """,
    "zh": "嗯唔呃哦噢喔啊呀哎诶欸哈呵嘿哇对好是行的吧呢了没错明白知道这样可以真",
}
"""Words that backchannels consist of, however often they repeat them."""

_URGENT = {
    "en": """
        stop wait no not hold what what's who where when why how pardon sorry excuse hey hello
        enough quiet help but
    """,
    "zh": "停听等不别什谁哪几多怎为喂够慢",
}
"""Words that make even the shortest utterance count."""

SHORT_S = 0.6
"""From a voice as short as this, recognisers make up words."""
CURT_S = 0.85
"""One word, or mostly words of backchannels, counts as a backchannel up to this length."""

ECHO_SHARE = 0.75
ECHO_SHARE_SO_FAR = 0.6
"""An utterance is an echo if this share of it is found, in order, in what was spoken just now;
a smaller share is enough while the voice goes on."""
_LEAST_ECHO = {True: 4, False: 3}
"""Characters of Chinese, or words of other languages, without which nothing is called an echo."""

HALF_HEARD_WORDS = 2

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def classify(
    text: str,
    *,
    voiced_s: float,
    language_code: str,
    recent_speech: str = "",
    goes_on: bool = False,
) -> UtteranceKind:
    """Return what an utterance is, by its words and the length of its voice.

    `recent_speech` is what the digital human has just said. While the voice goes on, its last words
    may be half heard.
    """
    words = _words(text)
    if not words:
        return UtteranceKind.NOISE
    if _is_backchannel(words, voiced_s, language_code):
        return UtteranceKind.BACKCHANNEL
    spoken = _words(recent_speech)
    share = ECHO_SHARE_SO_FAR if goes_on else ECHO_SHARE
    if _is_echo(words, spoken, share) or (
        goes_on and _is_echo(words[:-HALF_HEARD_WORDS], spoken, share)
    ):
        return UtteranceKind.ECHO
    return UtteranceKind.WORDS


def _is_backchannel(words: list[str], voiced_s: float, language_code: str) -> bool:
    if any(word in _of_language(_URGENT_WORDS, language_code) for word in words):
        return False
    known = _of_language(_BACKCHANNEL_WORDS, language_code)
    share = sum(word in known for word in words) / len(words)
    is_curt = voiced_s < CURT_S and (len(words) == 1 or share >= 0.5)
    return share == 1 or voiced_s < SHORT_S or is_curt


def _words(text: str) -> list[str]:
    """Return the words in lower case; in scripts without spaces each character is one."""
    spaced = "".join(f" {each} " if is_cjk(each) else each for each in text.lower())
    return _WORD.findall(spaced)


def _of_language(table: Mapping[str, frozenset[str]], language_code: str) -> frozenset[str]:
    return table.get(language_code.partition("-")[0].lower(), table["en"])


def _is_echo(words: list[str], spoken: list[str], share: float) -> bool:
    if not words or len(words) < _LEAST_ECHO[is_cjk(words[0])]:
        return False
    matcher = SequenceMatcher(a=spoken, b=words, autojunk=False)
    found = sum(block.size for block in matcher.get_matching_blocks() if block.size > 1)
    return found >= share * len(words)


_URGENT_WORDS = {code: frozenset(_words(words)) for code, words in _URGENT.items()}
_BACKCHANNEL_WORDS = {code: frozenset(_words(words)) for code, words in _BACKCHANNELS.items()}
