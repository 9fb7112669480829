"""Where the words that a voice reports are in the text that it was given."""

import unicodedata

SLACK_PER_MISS = 4
LONGEST_SLACK = 40


class TextCursor:
    """Finds words in a growing text, each after the one before.

    Between two words only what is not spoken may lie. Each word that is not found, since the voice
    says it in other characters, allows some more text before the next.
    """

    def __init__(self, text: str = "") -> None:
        self._folded = _fold(text)
        self._position = 0
        self._slack = 0

    def add(self, text: str) -> None:
        """Append to the text."""
        self._folded += _fold(text)

    def find(self, word: str) -> tuple[int, int] | None:
        """Return the place [start, end) of the next such word; None without a sure one."""
        folded = _fold(word).strip()
        if not folded:
            return None
        start = self._folded.find(folded, self._position)
        if start < 0 or _spoken(self._folded[self._position : start]) > self._slack:
            missed = _spoken(folded) * SLACK_PER_MISS
            self._slack = min(self._slack + missed, LONGEST_SLACK)
            return None
        self._position, self._slack = start + len(folded), 0
        return start, self._position


def _spoken(text: str) -> int:
    return sum(character.isalnum() for character in text)


def _fold(text: str) -> str:
    """Return a text of the same length without differences of case and width."""
    if text.isascii():
        return text.lower()
    return "".join(map(_fold_character, text))


def _fold_character(character: str) -> str:
    folded = unicodedata.normalize("NFKC", character).lower()
    return folded if len(folded) == 1 else character
