"""What a short remark of the user means while the digital human speaks, by its words alone."""

import re
from difflib import SequenceMatcher
from enum import StrEnum

from services.speech.sentences import is_cjk


class Remark(StrEnum):
    """What an utterance is."""

    WORDS = "words"
    """It wants an answer."""
    NOISE = "noise"
    """There are no words in it."""
    BACKCHANNEL = "backchannel"
    """It shows that the user listens."""
    ECHO = "echo"
    """It is the reply itself, come back through the microphone."""


_BACKCHANNELS = {
    "en": """
        m mm mmm mhm hm hmm hmmm mhmm mmhm mmhmm uh uhhuh huh um ah aha oh ooh wow ha haha
        yeah yep yup ya yes ok okay kay right sure cool nice great good fine true exactly indeed
        really alright gotcha i see got it
    """,
    "zh": "嗯唔呃哦噢喔啊呀哎诶欸哈呵嘿哇对好是行的吧呢了没错明白知道这样可以真",
}
"""Words of which a backchannel is made, however often it repeats them."""

_ECHO_SHARE = 0.75
"""So much of a remark found again, in order, in what was just spoken makes it an echo."""
_LEAST_ECHO = {True: 4, False: 3}
"""Characters of Chinese, or words of other languages, without which nothing is called an echo."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def classify(text: str, *, language_code: str, recent_speech: str = "") -> Remark:
    """Return what the words are; `recent_speech` is what the digital human said just now."""
    words = _words(text)
    if not words:
        return Remark.NOISE
    if all(word in _backchannel_words(language_code) for word in words):
        return Remark.BACKCHANNEL
    if _is_echo(words, _words(recent_speech)):
        return Remark.ECHO
    return Remark.WORDS


def _words(text: str) -> list[str]:
    """Words in lower case; each character by itself in scripts without spaces."""
    spaced = "".join(f" {each} " if is_cjk(each) else each for each in text.lower())
    return _WORD.findall(spaced)


def _backchannel_words(language_code: str) -> frozenset[str]:
    language = language_code.partition("-")[0].lower()
    return _BACKCHANNEL_WORDS.get(language, _BACKCHANNEL_WORDS["en"])


def _is_echo(words: list[str], spoken: list[str]) -> bool:
    if len(words) < _LEAST_ECHO[is_cjk(words[0])]:
        return False
    matcher = SequenceMatcher(a=spoken, b=words, autojunk=False)
    found = sum(block.size for block in matcher.get_matching_blocks() if block.size > 1)
    return found >= _ECHO_SHARE * len(words)


_BACKCHANNEL_WORDS = {code: frozenset(_words(words)) for code, words in _BACKCHANNELS.items()}
