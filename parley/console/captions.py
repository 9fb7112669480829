"""When each word of a reply is spoken, and what of it has been."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parley.gateway_client.answers import Json

# For voices that give no times.
_WORD_CHARACTERS_PER_S = 15.0
_IDEOGRAPHS_PER_S = 4.5
_IDEOGRAPH = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A word with what follows it, and when it is spoken after the reply's first sound."""

    text: str
    due_s: float


class Captions:
    """The reply of one turn, as its sentences become sound."""

    def __init__(self) -> None:
        self._sentences: dict[int, Json] = {}
        self._shown = ""

    def add(self, sentence: Json) -> None:
        """Take a `sentence_started`; a later one for the same sentence has more word times."""
        self._sentences[sentence["textStart"]] = sentence

    def due(self, spoken_s: float) -> str:
        """Return what is to be shown now, beyond what was returned before."""
        sentences = [self._sentences[start] for start in sorted(self._sentences)]
        spoken = "".join(each.text for each in pieces(sentences) if each.due_s <= spoken_s)
        more = spoken[len(self._shown) :]
        self._shown += more
        return more

    @property
    def is_unseen(self) -> bool:
        """Whether nothing of it is shown."""
        return not self._shown

    def rest(self, heard: str) -> str | None:
        """Return what was heard beyond what is shown; None if more is shown than was heard."""
        shown = "".join(self._shown.split())
        if not "".join(heard.split()).startswith(shown):
            return None
        at = 0
        for character in shown:
            at = heard.index(character, at) + 1
        return heard[at:].lstrip() if self._shown[-1:].isspace() else heard[at:]


def pieces(sentences: Sequence[Json]) -> Iterator[Piece]:
    """Yield the pieces of sentences, which are in the order of the reply."""
    before = ""
    for sentence in sentences:
        for piece in _timed(sentence) if sentence["words"] else _estimated(sentence):
            gap = " " if _needs_space(before, piece.text) else ""
            yield Piece(text=gap + piece.text, due_s=piece.due_s)
            before = piece.text


def _timed(sentence: Json) -> Iterator[Piece]:
    """Cut before each word that the voice gives a time for."""
    text, words, offset_ms = sentence["text"], sentence["words"], sentence["audioOffsetMs"]
    begins = [0, *(word["start"] for word in words[1:]), len(text)]
    for word, begin, end in zip(words, begins, begins[1:], strict=False):
        yield Piece(text=text[begin:end], due_s=(offset_ms + word["startMs"]) / 1000)


def _estimated(sentence: Json) -> Iterator[Piece]:
    text, offset_ms = sentence["text"], sentence["audioOffsetMs"]
    is_ideographic = _IDEOGRAPH.search(text) is not None
    rate = _IDEOGRAPHS_PER_S if is_ideographic else _WORD_CHARACTERS_PER_S
    for found in re.finditer(r"[\s\S]" if is_ideographic else r"\S+\s*", text):
        yield Piece(text=found[0], due_s=offset_ms / 1000 + found.start() / rate)


def _needs_space(before: str, after: str) -> bool:
    if not before or before[-1].isspace() or after[:1].isspace():
        return False
    return _IDEOGRAPH.match(before[-1]) is None
