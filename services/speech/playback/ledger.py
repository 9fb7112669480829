"""For each turn: which text became which audio, and how much of it was heard."""

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from services.runtime.pcm import byte_count, duration_s
from services.speech.playback.ports import Playback, PlaybackMethod
from services.speech.ports.synthesis import WordTime
from services.speech.text.alignment import SpokenForm
from services.speech.text.segmentation import CJK, speech_s

# What a cut never splits: a character of a script without spaces, else a word.
_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+(?:['’][^\W{CJK}]+)*")

# A word whose greater part was played counts as heard.
HEARD_SHARE_OF_WORD = 0.5
# Players round to their frames; a rest shorter than this was played.
TOLERANCE_S = 0.02


class HeardMethod(StrEnum):
    """How the heard part of a reply was determined."""

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
"""Factor for a played duration that is only estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The beginning of a reply that the user heard."""

    text: str
    method: HeardMethod
    confidence: float


@dataclass(slots=True, kw_only=True)
class SegmentEntry:
    """Characters [text_start, text_end) of the reply and their audio [audio_start, audio_end).

    Its spoken form begins at character `spoken_start` of all that is spoken. `words` count from the
    beginning of that form, and from that of the reply's audio.
    """

    text_start: int
    text_end: int
    spoken: SpokenForm
    spoken_start: int
    audio_start: int
    audio_end: int
    words: tuple[WordTime, ...] = ()
    is_complete: bool = False

    @property
    def spoken_end(self) -> int:
        """The character after its last in all that is spoken."""
        return self.spoken_start + len(self.spoken.text)

    @property
    def is_begun(self) -> bool:
        """Whether it has audio."""
        return self.audio_end > self.audio_start


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSegment:
    """A segment on its way from text to ear; times in seconds.

    Its audio is [audio_start_s, audio_end_s) of the reply's; `sent_s` and `played_s` count from
    its own start. `words` are the written ones, from `text_start` on, if the voice gives times.
    The user heard up to character `heard_end` of the reply.
    """

    spoken_text: str
    text_start: int
    text_end: int
    audio_start_s: float
    audio_end_s: float
    sent_s: float
    played_s: float
    heard_end: int
    heard_method: HeardMethod
    confidence: float
    words: tuple[WordTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSummary:
    """A ledger's totals and segments; durations in seconds."""

    produced_s: float
    playback: Playback
    heard: Heard
    segments: tuple[HeardSegment, ...]


class Ledger:
    """Grows with the reply; `heard` may be asked at any time.

    A voice that gets several segments at once says where one ends, or when its words are heard;
    until it does, where the next begins is estimated.
    """

    def __init__(self, *, sample_rate_hertz: int) -> None:
        self._rate = sample_rate_hertz
        self._reply = ""
        self._segments: list[SegmentEntry] = []
        self._produced = 0
        self._done = 0
        """Segments whose audio is known to be complete."""
        self._is_complete = False
        self._fillers: list[tuple[float, float]] = []
        """Where they are in the speech of the reply's own text, and how long, in seconds."""

    @property
    def reply_text(self) -> str:
        """The reply so far."""
        return self._reply

    @property
    def segments(self) -> tuple[SegmentEntry, ...]:
        """The segments that have become audio, in order."""
        return tuple(segment for segment in self._segments if segment.is_begun)

    @property
    def spoken_length(self) -> int:
        """Characters of all spoken forms so far."""
        return self._segments[-1].spoken_end if self._segments else 0

    @property
    def produced_s(self) -> float:
        """All audio so far."""
        return self.seconds_of(self._produced)

    @property
    def speech_s(self) -> float:
        """The audio of the reply's own text so far."""
        return self.produced_s - sum(length_s for _, length_s in self._fillers)

    @property
    def awaited_s(self) -> float:
        """About how long the segments take to say that are not audio yet."""
        return sum(speech_s(each.spoken.text) for each in self._segments if not each.is_begun)

    def seconds_of(self, size: int) -> float:
        """Return how long so many bytes of audio are."""
        return duration_s(size, self._rate)

    def add_text(self, delta: str) -> None:
        """The reply goes on."""
        self._reply += delta

    def add_segment(self, *, text_start: int, text_end: int, spoken: SpokenForm) -> None:
        """The next segment is about to become audio."""
        self._segments.append(
            SegmentEntry(
                text_start=text_start,
                text_end=text_end,
                spoken=spoken,
                spoken_start=self.spoken_length,
                audio_start=self._produced,
                audio_end=self._produced,
            )
        )

    def add_audio(
        self, size: int, words: tuple[WordTime, ...] = (), text_end: int | None = None
    ) -> tuple[SegmentEntry, ...]:
        """Add bytes to the reply's audio, and return the segments that begin with them.

        `words` and `text_end` count from the beginning of all that is spoken, as in SpeechChunk;
        fillers do not count.
        """
        self._produced += size
        waiting = [each for each in self._segments[self._done :] if not each.is_begun]
        for word in words:
            self._time(word)
        self._align(text_end or 0)
        return tuple(each for each in waiting if each.is_begun)

    def add_filler(self, size: int) -> None:
        """Add bytes that speak no text of the reply; what has begun before is complete."""
        for segment in self.segments[self._done :]:
            segment.is_complete = True
        self._done = len(self.segments)
        self._fillers.append((self.speech_s, self.seconds_of(size)))
        self._produced += size
        for segment in self._segments[self._done :]:
            segment.audio_start = segment.audio_end = self._produced

    def _time(self, word: WordTime) -> None:
        for segment in self._segments:
            if segment.spoken_start <= word.start < segment.spoken_end:
                later_s = self._fillers_before(word.start_s)
                own = WordTime(
                    start=word.start - segment.spoken_start,
                    end=min(word.end, segment.spoken_end) - segment.spoken_start,
                    start_s=word.start_s + later_s,
                    end_s=word.end_s + later_s,
                )
                segment.words = (*segment.words, own)

    def _fillers_before(self, speech_s: float) -> float:
        """Return how much later a moment of the reply's speech is in its audio, in seconds."""
        return sum(length_s for at_s, length_s in self._fillers if at_s <= speech_s + TOLERANCE_S)

    def _align(self, text_end: int) -> None:
        """Place the segments that are not complete one after the other in the audio."""
        rest = self._segments[self._done :]
        start = rest[0].audio_start if rest else 0
        completed = 0
        for number, (segment, following) in enumerate(zip_longest(rest, rest[1:]), start=1):
            segment.audio_start = start
            end, is_certain = self._end_of(segment, following, text_end)
            segment.audio_end = start = max(start, min(end, self._produced))
            if is_certain and end <= self._produced:
                completed = number
        for segment in rest[:completed]:
            segment.is_complete = True
        self._done += completed

    def _end_of(
        self, segment: SegmentEntry, following: SegmentEntry | None, text_end: int
    ) -> tuple[int, bool]:
        """Return where a segment's audio ends, and whether that is certain."""
        if segment.spoken_end <= text_end and (
            following is None or following.spoken_end > text_end
        ):
            return self._produced, True
        if following is None:
            return self._produced, False
        if following.words:
            return self._bytes(following.words[0].start_s), True
        likely_s = self.seconds_of(segment.audio_start) + speech_s(segment.spoken.text)
        return self._bytes(max((likely_s, *(word.end_s for word in segment.words)))), False

    def complete(self) -> None:
        """The reply has all its text and audio."""
        self._is_complete = True

    def heard(self, played_s: float, method: PlaybackMethod = PlaybackMethod.CONFIRMED) -> Heard:
        """Return the reply's beginning that fits into so much played audio."""
        end, how = self._cut(played_s)
        return Heard(text=self._reply[:end], method=how, confidence=_confidence(how, method))

    def summary(self, playback: Playback) -> LedgerSummary:
        """Return what became of a reply that is over."""
        return LedgerSummary(
            produced_s=self.produced_s,
            playback=playback,
            heard=self.heard(playback.played_s, playback.method),
            segments=tuple(self._heard_segment(each, playback) for each in self.segments),
        )

    def _heard_segment(self, segment: SegmentEntry, playback: Playback) -> HeardSegment:
        start_s, end_s = self.seconds_of(segment.audio_start), self.seconds_of(segment.audio_end)
        kept, how = self._cut_segment(segment, playback.played_s)
        return HeardSegment(
            spoken_text=segment.spoken.text,
            text_start=segment.text_start,
            text_end=segment.text_end,
            audio_start_s=start_s,
            audio_end_s=end_s,
            sent_s=min(max(playback.sent_s, start_s), end_s) - start_s,
            played_s=min(max(playback.played_s, start_s), end_s) - start_s,
            heard_end=segment.text_start + kept,
            heard_method=how,
            confidence=_confidence(how, playback.method),
            words=written_words(segment.spoken, _from(segment.words, start_s)),
        )

    def _cut(self, played_s: float) -> tuple[int, HeardMethod]:
        if self.produced_s and played_s <= 0:
            return 0, HeardMethod.NOTHING
        if self._is_complete and played_s >= self.produced_s - TOLERANCE_S:
            return len(self._reply), HeardMethod.COMPLETE
        end, how = 0, HeardMethod.NOTHING
        for segment in self.segments:
            kept, _ = self._cut_segment(segment, played_s)
            if kept:
                end = segment.text_start + kept
                how = HeardMethod.WORD_TIMES if segment.words else HeardMethod.SEGMENT_SHARE
        return end, how

    def _cut_segment(self, segment: SegmentEntry, played_s: float) -> tuple[int, HeardMethod]:
        """Return how many characters of a segment were heard."""
        start_s, end_s = self.seconds_of(segment.audio_start), self.seconds_of(segment.audio_end)
        if played_s <= start_s:
            return 0, HeardMethod.NOTHING
        if segment.is_complete and played_s >= end_s - TOLERANCE_S:
            return segment.text_end - segment.text_start, HeardMethod.COMPLETE
        words, how = _from(segment.words, start_s), HeardMethod.WORD_TIMES
        if not words:
            text, audio_s = segment.spoken.text, end_s - start_s
            whole_s = audio_s if segment.is_complete else max(audio_s, speech_s(text))
            words, how = estimated_words(text, whole_s), HeardMethod.SEGMENT_SHARE
        kept = _heard_end(written_words(segment.spoken, words), played_s - start_s)
        return (kept, how) if kept else (0, HeardMethod.NOTHING)

    def _bytes(self, seconds: float) -> int:
        return byte_count(seconds, self._rate)


def _from(words: tuple[WordTime, ...], start_s: float) -> tuple[WordTime, ...]:
    """Return the same words, their times from a later moment on."""
    return tuple(word.moved(0, -start_s) for word in words)


def written_words(spoken: SpokenForm, words: tuple[WordTime, ...]) -> tuple[WordTime, ...]:
    """Return when the written words are heard that a voice speaks in words of its own."""
    written: list[WordTime] = []
    for word in words:
        if not spoken.text[word.start : word.end].strip():
            continue  # Vendors time pauses too.
        start, end = spoken.written(word.start, word.end)
        start_s = word.start_s
        # The spoken words of one written word, such as a number, are heard as one.
        while written and start < written[-1].end:
            before = written.pop()
            start, end, start_s = min(start, before.start), max(end, before.end), before.start_s
        written.append(WordTime(start=start, end=end, start_s=start_s, end_s=word.end_s))
    return tuple(written)


def estimated_words(text: str, whole_s: float) -> tuple[WordTime, ...]:
    """Return about when the words of a text are heard; without spaces, its characters."""
    rate = whole_s / speech_s(text)
    return tuple(
        WordTime(
            start=match.start(),
            end=match.end(),
            start_s=speech_s(text[: match.start()]) * rate,
            end_s=speech_s(text[: match.end()]) * rate,
        )
        for match in _WORD.finditer(text)
    )


def _heard_end(words: tuple[WordTime, ...], into_s: float) -> int:
    end = 0
    for word in words:
        length_s = word.end_s - word.start_s
        if word.start_s + HEARD_SHARE_OF_WORD * length_s > into_s:
            break
        end = word.end
    return end


def _confidence(how: HeardMethod, playback: PlaybackMethod) -> float:
    if how is HeardMethod.NOTHING:
        return 1.0
    certainty = ESTIMATE_CONFIDENCE if playback is PlaybackMethod.ESTIMATED else 1.0
    return CONFIDENCE[how] * certainty
