"""Replies of which every word is known as it is written and as it is said."""

import re
from dataclasses import dataclass

from tests.support.wer import edit_distances, normalize_characters, normalize_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A word, or a Chinese character: where its writing ends, and where its sound begins."""

    written_end: int
    said_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply in units; a cut that is off by `tolerance` of them is still good."""

    language_code: str
    voice_id: str
    text: str
    said: str
    units: tuple[Unit, ...]
    spellings: tuple[tuple[str, str], ...]
    """What is written otherwise than it is said, and how it is said."""
    tolerance: int

    def written(self, heard: str) -> int:
        """How many units a beginning of the text has."""
        assert self.text.startswith(heard)
        return sum(unit.written_end <= len(heard) for unit in self.units)

    def sounded(self, starts_s: list[float], at_s: float) -> int:
        """How many units sound for the greater part until a time.

        `starts_s` tells when each character of `said` begins to sound.
        """
        begins_s = [starts_s[unit.said_start] for unit in self.units] + [starts_s[-1]]
        middles_s = [(begins_s[i] + begins_s[i + 1]) / 2 for i in range(len(self.units))]
        return sum(middle_s <= at_s for middle_s in middles_s)

    def recognized(self, transcript: str) -> tuple[int, ...]:
        """How many units a transcript confirms: all numbers that do so equally well.

        What follows them in the transcript does not count: a recognizer goes on by itself where a
        sound breaks off.
        """
        for written, spelled in self.spellings:
            transcript = transcript.replace(written, spelled)
        heard = self._normalized(transcript)
        cuts = [*(unit.said_start for unit in self.units), len(self.said)]
        scores = []
        for cut in cuts:
            said = self._normalized(self.said[:cut])
            scores.append(len(said) - 2 * min(edit_distances(said, heard)))
        return tuple(n for n, score in enumerate(scores) if score == max(scores))

    def _normalized(self, text: str) -> list[str]:
        if self.language_code.startswith("zh"):
            return list(normalize_characters(text))
        return normalize_words(text)


def _reply(marked: str, *, language_code: str, voice_id: str, unit: str, tolerance: int) -> Reply:
    """A reply from a text in which `[written=said]` stands for what is said in other words."""
    text = said = ""
    units = []
    spellings = []
    end = 0
    for match in re.finditer(rf"\[([^=]+)=([^\]]+)\]|{unit}", marked):
        between = marked[end : match.start()]
        end = match.end()
        text += between + (match[1] or match[0])
        said += between
        units.append(Unit(written_end=len(text), said_start=len(said)))
        said += match[2] or match[0]
        if match[1] and len(match[1]) > 1:  # a digit may be a part of anything
            spellings.append((match[1], match[2]))
    return Reply(
        language_code=language_code,
        voice_id=voice_id,
        text=text + marked[end:],
        said=said + marked[end:],
        units=tuple(units),
        spellings=tuple(spellings),
        tolerance=tolerance,
    )


SHORT_ENGLISH = _reply(
    "A ticket costs [$12.50=twelve dollars and fifty cents]. The tower is from"
    " [1432=fourteen thirty-two], and [Dr.=Doctor] Smith shows its [3=three] bells at"
    " [4:30 p.m.=four thirty p.m.] in the yard.",
    language_code="en",
    voice_id="af_heart",
    unit=r"[\w']+",
    tolerance=1,
)
SHORT_CHINESE = _reply(
    "成人票价是[35=三十五]元。古塔建于[1=一][4=四][3=三][2=二]年，有[3=三]口大钟，下午四点半敲响。",
    language_code="zh",
    voice_id="zf_xiaoxiao",
    unit=r"\w",
    tolerance=2,
)
ENGLISH = _reply(
    "Welcome to the city museum. We open at half past nine, and a ticket costs"
    " [$12.50=twelve dollars and fifty cents] for adults. The old tower was built in"
    " [1432=fourteen thirty-two], and [Dr.=Doctor] Smith will show you its [3=three] bells"
    " every day at [4:30 p.m.=four thirty p.m.] in the yard.",
    language_code="en",
    voice_id="af_heart",
    unit=r"[\w']+",
    tolerance=1,
)
CHINESE = _reply(
    "欢迎来到城市博物馆。我们早上九点半开门，成人票价是[35=三十五]元。古塔建于"
    "[1=一][4=四][3=三][2=二]年，有[3=三]口大钟，每天下午四点半敲响，请不要错过。",
    language_code="zh",
    voice_id="zf_xiaoxiao",
    unit=r"\w",
    tolerance=2,
)
