"""The spoken form of a text, aligned character by character with the written form."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from services.speech.text.needs import Characters, characters_of, needed_by
from services.speech.text.segmentation import is_cjk

Span: TypeAlias = tuple[int, int]

Reading: TypeAlias = Sequence[tuple[str, Span]]
"""Spoken words, each with the written characters it stands for, in order; no span is empty.

Text between two of them is spoken as written.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenForm:
    """What a voice says for a text; character i stands for the written characters `spans[i]`."""

    text: str
    spans: tuple[Span, ...]

    @classmethod
    def as_written(cls, text: str) -> "SpokenForm":
        """Return the spoken form of a text that is spoken as written."""
        return cls(text=text, spans=each_from(0, len(text)))

    def written(self, start: int, end: int) -> Span:
        """Return the written characters that characters [start, end) stand for."""
        return self.spans[start][0], max(span[1] for span in self.spans[start:end])

    def part(self, start: int, end: int) -> "SpokenForm":
        """Return characters [start, end)."""
        return SpokenForm(text=self.text[start:end], spans=self.spans[start:end])


def each_from(start: int, stop: int) -> tuple[Span, ...]:
    """Return the spans of single characters from `start` on, before `stop`."""
    return tuple(zip(range(start, stop), range(start + 1, stop + 1), strict=True))


SILENCE = SpokenForm(text="", spans=())


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and how its matches are read; None declines a match.

    A text without any of the characters in `needs` does not match.
    """

    pattern: re.Pattern[str]
    needs: Characters
    read: Callable[[re.Match[str]], Reading | None]

    def next(self, text: str, at: int) -> "tuple[re.Match[str], Reading] | None":
        """Return the first match from a character on that the rule reads."""
        for match in self.pattern.finditer(text, at):
            if (reading := self.read(match)) is not None:
                return match, reading
        return None


def rule(pattern: str, say: Callable[[re.Match[str]], str | Reading | None]) -> Rule:
    """Return a rule; a plain string replaces the whole match. Character classes are ASCII."""

    def read(match: re.Match[str]) -> Reading | None:
        said = say(match)
        return [(said, match.span())] if isinstance(said, str) else said

    compiled = re.compile(pattern, re.ASCII)
    return Rule(compiled, needed_by(compiled), read)


def replace(pattern: str, said: str) -> Rule:
    """Return a rule that reads every match as the same text."""
    return rule(pattern, lambda _: said)


def alternatives(texts: Iterable[str]) -> str:
    """Return the pattern of any of these texts; of those that begin alike, the longest matches."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))


def rewrite(spoken: SpokenForm, rules: Sequence[Rule]) -> SpokenForm:
    """Read a text from left to right, each place by the first rule that matches.

    The output of a rule is never read again, so no rule can match another's words.
    """
    present = characters_of(spoken.text)
    possible = [rule for rule in rules if rule.needs & present]
    if not possible:
        return spoken
    pieces: list[SpokenForm] = []
    end = 0
    for said, (start, stop) in _readings(spoken.text, possible):
        pieces.append(spoken.part(end, start))
        pieces.append(_aligned(spoken.part(start, stop), said))
        end = stop
    if not pieces:
        return spoken
    pieces.append(spoken.part(end, len(spoken.text)))
    return join(_with_spaces(pieces))


def join(pieces: Iterable[SpokenForm]) -> SpokenForm:
    """Concatenate spoken forms."""
    every = tuple(pieces)
    if len(every) == 1:
        return every[0]
    return SpokenForm(
        text="".join([piece.text for piece in every]),
        spans=tuple(chain.from_iterable([piece.spans for piece in every])),
    )


def _with_spaces(pieces: Iterable[SpokenForm]) -> Iterator[SpokenForm]:
    """Separate adjacent words with a space, which their signs did not need."""
    last: SpokenForm | None = None
    for piece in pieces:
        if not piece.text:
            continue
        if last and _is_letter(last.text[-1]) and _is_letter(piece.text[0]):
            yield SpokenForm(text=" ", spans=last.spans[-1:])
        yield piece
        last = piece


def _readings(text: str, rules: Sequence[Rule]) -> Iterator[tuple[str, Span]]:
    heads = [rule.next(text, 0) for rule in rules]
    while found := min(filter(None, heads), key=lambda head: head[0].start(), default=None):
        match, reading = found
        yield from reading
        at = match.end()
        heads = [
            rule.next(text, at) if head and head[0].start() < at else head
            for rule, head in zip(rules, heads, strict=True)
        ]


def _aligned(before: SpokenForm, said: str) -> SpokenForm:
    """Return the words that replace a text, aligned one by one if each has its own character."""
    if said == before.text:
        return before
    if len(said) == len(before.text) and all(map(is_cjk, said)):
        return SpokenForm(text=said, spans=before.spans)
    return SpokenForm(text=said, spans=(before.written(0, len(before.text)),) * len(said))


def _is_letter(character: str) -> bool:
    return character.isalnum() and not is_cjk(character)
