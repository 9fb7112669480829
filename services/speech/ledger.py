"""Per turn: which text became which audio, and how much of it was heard."""

from dataclasses import dataclass
from enum import StrEnum

from services.runtime.pcm import duration_s
from services.speech.ports import Playback, PlaybackMethod, WordTime
from services.speech.sentences import is_cjk, speech_s

# A word whose greater part was played counts as heard.
HEARD_SHARE_OF_WORD = 0.5
# Players round to their frames; a rest shorter than this was played.
TOLERANCE_S = 0.02


class HeardMethod(StrEnum):
    """How a heard text was cut from a reply."""

    COMPLETE = "complete"
    WORD_TIMES = "word_times"
    SEGMENT_SHARE = "segment_share"
    NOTHING = "nothing"


CONFIDENCE = {
    HeardMethod.COMPLETE: 1.0,
    HeardMethod.NOTHING: 1.0,
    HeardMethod.WORD_TIMES: 0.95,
    HeardMethod.SEGMENT_SHARE: 0.7,
}
"""How sure a cut is when the played duration is certain."""

ESTIMATE_CONFIDENCE = 0.9
"""Factor for a played duration that is only reckoned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The beginning of a reply that the user heard."""

    text: str
    method: HeardMethod
    confidence: float


@dataclass(slots=True, kw_only=True)
class SegmentEntry:
    """Characters [text_start, text_end) of the reply and their audio [audio_start, audio_end)."""

    text_start: int
    text_end: int
    spoken_text: str
    audio_start: int
    audio_end: int
    words: tuple[WordTime, ...] = ()
    is_complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSummary:
    """A ledger's totals; durations in seconds."""

    sentence_count: int
    produced_s: float
    playback: Playback
    heard: Heard


class Ledger:
    """Grows with the reply; `heard` may be asked at any time."""

    def __init__(self, *, sample_rate_hertz: int) -> None:
        self._rate = sample_rate_hertz
        self._reply = ""
        self._segments: list[SegmentEntry] = []
        self._is_complete = False

    @property
    def reply_text(self) -> str:
        """The reply so far."""
        return self._reply

    @property
    def segments(self) -> tuple[SegmentEntry, ...]:
        """The segments that have become audio, in order."""
        return tuple(self._segments)

    @property
    def produced_s(self) -> float:
        """All audio so far."""
        return duration_s(self._produced_bytes, self._rate)

    @property
    def _produced_bytes(self) -> int:
        return self._segments[-1].audio_end if self._segments else 0

    def add_text(self, delta: str) -> None:
        """The reply goes on."""
        self._reply += delta

    def begin_segment(self, *, text_start: int, text_end: int, spoken_text: str) -> float:
        """The audio of a segment begins; return its offset in the reply's audio."""
        at = self._produced_bytes
        entry = SegmentEntry(
            text_start=text_start,
            text_end=text_end,
            spoken_text=spoken_text,
            audio_start=at,
            audio_end=at,
        )
        self._segments.append(entry)
        return duration_s(at, self._rate)

    def add_audio(self, byte_count: int, words: tuple[WordTime, ...] = ()) -> None:
        """More audio of the segment; `words` refer to its spoken text."""
        segment = self._segments[-1]
        segment.audio_end += byte_count
        segment.words = words or segment.words

    def end_segment(self) -> None:
        """The segment has all its audio."""
        self._segments[-1].is_complete = True

    def complete(self) -> None:
        """The reply has all its text and audio."""
        self._is_complete = True

    def heard(self, played_s: float, method: PlaybackMethod = PlaybackMethod.CONFIRMED) -> Heard:
        """Return the reply's beginning that fits into so much played audio."""
        end, how = self._cut(played_s)
        certainty = ESTIMATE_CONFIDENCE if method is PlaybackMethod.ESTIMATED else 1.0
        confidence = 1.0 if how is HeardMethod.NOTHING else CONFIDENCE[how] * certainty
        return Heard(text=self._reply[:end], method=how, confidence=confidence)

    def summary(self, playback: Playback) -> LedgerSummary:
        """Return the totals for a reply that is over."""
        return LedgerSummary(
            sentence_count=len(self._segments),
            produced_s=self.produced_s,
            playback=playback,
            heard=self.heard(playback.played_s, playback.method),
        )

    def _cut(self, played_s: float) -> tuple[int, HeardMethod]:
        if self._is_complete and played_s >= self.produced_s - TOLERANCE_S:
            return len(self._reply), HeardMethod.COMPLETE
        if played_s <= 0:
            return 0, HeardMethod.NOTHING
        end, how = 0, HeardMethod.NOTHING
        for segment in self._segments:
            into_s = played_s - duration_s(segment.audio_start, self._rate)
            kept, kept_how = self._cut_segment(segment, into_s)
            if kept:
                end, how = segment.text_start + kept, kept_how
        return end, how

    def _cut_segment(self, segment: SegmentEntry, into_s: float) -> tuple[int, HeardMethod]:
        """Return how many characters of a segment were heard."""
        if into_s <= 0:
            return 0, HeardMethod.NOTHING
        text = self._reply[segment.text_start : segment.text_end]
        audio_s = duration_s(segment.audio_end - segment.audio_start, self._rate)
        is_exact = bool(segment.words) and segment.spoken_text == text
        how = HeardMethod.WORD_TIMES if is_exact else HeardMethod.SEGMENT_SHARE
        if segment.is_complete and into_s >= audio_s - TOLERANCE_S:
            return len(text), how
        if is_exact:
            return _heard_words(segment.words, into_s), how
        whole_s = audio_s if segment.is_complete else max(audio_s, speech_s(segment.spoken_text))
        share = min(1.0, into_s / whole_s) if whole_s else 0.0
        return _whole_words(text, int(share * len(text))), how


def _heard_words(words: tuple[WordTime, ...], into_s: float) -> int:
    end = 0
    for word in words:
        length_s = word.end_s - word.start_s
        if word.start_s + HEARD_SHARE_OF_WORD * length_s > into_s:
            break
        end = max(end, word.end)
    return end


def _whole_words(text: str, length: int) -> int:
    """Return the greatest cut up to `length` that splits no word; between CJK any cut is whole."""
    while 0 < length < len(text) and not _may_cut(text, length):
        length -= 1
    return length


def _may_cut(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if is_cjk(before) or is_cjk(after):
        return True
    return not (before.isalnum() and (after.isalnum() or after in "'’"))
