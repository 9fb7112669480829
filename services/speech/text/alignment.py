"""What is said, and of each character of it, which written characters it says."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.speech.text.segmentation import is_cjk

Span: TypeAlias = tuple[int, int]

Reading: TypeAlias = Sequence[tuple[str, Span]]
"""Words, and the characters of the text that they say; in order, and none of them empty.

What lies between two of them is said as it is written.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What a voice says for a written text; character i says the written characters `spans[i]`."""

    text: str
    spans: tuple[Span, ...]

    @classmethod
    def as_written(cls, text: str) -> "Spoken":
        """A text that is said as it is written."""
        return cls(text=text, spans=tuple((index, index + 1) for index in range(len(text))))

    def written(self, start: int, end: int) -> Span:
        """Return the written characters that characters [start, end) say."""
        return self.spans[start][0], max(span[1] for span in self.spans[start:end])

    def part(self, start: int, end: int) -> "Spoken":
        """Return characters [start, end)."""
        return Spoken(text=self.text[start:end], spans=self.spans[start:end])


SILENCE = Spoken(text="", spans=())


@dataclass(frozen=True, slots=True)
class Rule:
    """How what a pattern finds is read; None: it is something else after all."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], Reading | None]

    def next(self, text: str, at: int) -> "tuple[re.Match[str], Reading] | None":
        """Return what the rule reads first from a character on."""
        for match in self.pattern.finditer(text, at):
            if (reading := self.read(match)) is not None:
                return match, reading
        return None


def rule(pattern: str, say: Callable[[re.Match[str]], str | Reading | None]) -> Rule:
    """Make a rule; words alone are for all that the pattern finds. Classes are of ASCII."""

    def read(match: re.Match[str]) -> Reading | None:
        said = say(match)
        return [(said, match.span())] if isinstance(said, str) else said

    return Rule(re.compile(pattern, re.ASCII), read)


def words(pattern: str, said: str) -> Rule:
    """Make a rule that always says the same."""
    return rule(pattern, lambda _: said)


def rewrite(spoken: Spoken, rules: Sequence[Rule]) -> Spoken:
    """Read a text from left to right, each place by the first rule that knows it.

    What a rule said is never read again, so no rule can take another's words for its own.
    """
    pieces: list[Spoken] = []
    end = 0
    for said, (start, stop) in _said(spoken.text, rules):
        pieces.append(spoken.part(end, start))
        pieces.append(_aligned(spoken.part(start, stop), said))
        end = stop
    pieces.append(spoken.part(end, len(spoken.text)))
    return join(_apart(pieces))


def join(pieces: Iterable[Spoken]) -> Spoken:
    """Put texts together."""
    every = tuple(pieces)
    return Spoken(
        text="".join(piece.text for piece in every),
        spans=tuple(span for piece in every for span in piece.spans),
    )


def _apart(pieces: Iterable[Spoken]) -> Iterator[Spoken]:
    """Put a space between two words that were none while they were signs."""
    last: Spoken | None = None
    for piece in pieces:
        if not piece.text:
            continue
        if last and _is_letter(last.text[-1]) and _is_letter(piece.text[0]):
            yield Spoken(text=" ", spans=last.spans[-1:])
        yield piece
        last = piece


def _said(text: str, rules: Sequence[Rule]) -> Iterator[tuple[str, Span]]:
    heads = [rule.next(text, 0) for rule in rules]
    while found := min(filter(None, heads), key=lambda head: head[0].start(), default=None):
        match, reading = found
        yield from reading
        at = match.end()
        heads = [
            rule.next(text, at) if head and head[0].start() < at else head
            for rule, head in zip(rules, heads, strict=True)
        ]


def _aligned(before: Spoken, said: str) -> Spoken:
    """Return the words that take the place of a text: one by one where each has its own."""
    if said == before.text:
        return before
    if len(said) == len(before.text) and all(map(is_cjk, said)):
        return Spoken(text=said, spans=before.spans)
    return Spoken(text=said, spans=(before.written(0, len(before.text)),) * len(said))


def _is_letter(character: str) -> bool:
    return character.isalnum() and not is_cjk(character)
