"""The sound of a context, and when each of its words is heard.

The vendor gives the time of each character, in several spellings, either from the beginning of the
context or from that of each message.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.runtime.pcm import duration_s
from services.speech.ports.synthesis import SpeechChunk, WordTime
from services.speech.vendors.alignment import TextCursor
from services.speech.vendors.sound.samples import WholeSamples

OVERLAP_S = 0.05
"""How much earlier than the last character the next one may begin without a count anew."""
_STARTS = ("charStartTimesMs", "charsStartTimesMs", "char_start_times_ms")
_DURATIONS = ("charDurationsMs", "charsDurationsMs", "char_durations_ms")
_ALIGNMENTS = ("alignment", "normalizedAlignment", "normalized_alignment")

TimedCharacter = tuple[str, float, float]


class AlignedSound:
    """Turns messages into chunks."""

    def __init__(self, sample_rate_hertz: int) -> None:
        self._sample_rate_hertz = sample_rate_hertz
        self._samples = WholeSamples()
        self._cursor = TextCursor()
        self._text_length = 0
        self._sound_bytes = 0
        self._word: list[TimedCharacter] = []
        self._end_s = 0.0

    @property
    def is_incomplete(self) -> bool:
        """Whether the sound ends within a sample."""
        return self._samples.is_incomplete

    def expect(self, text: str) -> None:
        """Expect the sound of another text."""
        self._cursor.add(text)
        self._text_length += len(text)

    def chunk(self, message: Mapping[str, Any]) -> SpeechChunk:
        """Return what a message adds; raises ValueError and its like for one of another shape."""
        sound = base64.b64decode(message.get("audio") or "", validate=True)
        before_s = duration_s(self._sound_bytes, self._sample_rate_hertz)
        words = tuple(self._words(self._characters(message, before_s)))
        self._sound_bytes += len(sound)
        return SpeechChunk(
            pcm=self._samples.add(sound),
            words=words,
            text_end=words[-1].end if words else None,
        )

    def rest(self) -> SpeechChunk:
        """Return the last word, behind which nothing came, and the end of all texts."""
        words = tuple(self._complete())
        return SpeechChunk(pcm=b"", words=words, text_end=self._text_length or None)

    def _characters(self, message: Mapping[str, Any], before_s: float) -> Iterator[TimedCharacter]:
        found = _first(message, _ALIGNMENTS)
        if not found:
            return
        starts = [float(each) / 1000 for each in _first(found, _STARTS) or ()]
        durations = [float(each) / 1000 for each in _first(found, _DURATIONS) or ()]
        begins_anew = bool(starts) and starts[0] < self._end_s - OVERLAP_S
        offset_s = before_s if begins_anew else 0.0
        for character, start_s, length_s in zip(found["chars"], starts, durations, strict=True):
            self._end_s = offset_s + start_s + length_s
            yield str(character), offset_s + start_s, self._end_s

    def _words(self, characters: Iterator[TimedCharacter]) -> Iterator[WordTime]:
        """Yield words as they are complete; those of scripts without blanks are characters."""
        for character in characters:
            text = character[0]
            is_blank = text.isspace()
            if self._word and (is_blank or _is_wide(text)):
                yield from self._complete()
            if not is_blank:
                self._word.append(character)

    def _complete(self) -> Iterator[WordTime]:
        word, self._word = self._word, []
        place = self._cursor.find("".join(text for text, _, _ in word)) if word else None
        if place is not None:
            yield WordTime(start=place[0], end=place[1], start_s=word[0][1], end_s=word[-1][2])


def _is_wide(character: str) -> bool:
    return "\u2e80" <= character[:1] <= "\u9fff"


def _first(found: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((found[key] for key in keys if found.get(key) is not None), None)
