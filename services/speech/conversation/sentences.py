"""A reply as listeners get it: each sentence when its audio begins, and the audio."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.speech.conversation.events import SentenceStarted
from services.speech.playback.ledger import Ledger, SegmentEntry
from services.speech.playback.voicing import Voicing
from services.speech.ports.synthesis import SpeechChunk
from services.speech.streams import closing
from services.speech.text.alignment import SpokenForm
from services.speech.text.normalization import captioned
from services.speech.text.segmentation import Segment

AHEAD_S = 12.0
"""About how much speech a voice is given that it has not begun: a reply that is cut off was paid
for only so far. Longer than any segment, so that a session is never without text for long."""


async def sentences(
    segments: AsyncIterator[Segment],
    voicing_of: Callable[[Segment], Voicing],
    ledger: Ledger,
    *,
    expected: Voicing | None = None,
) -> AsyncIterator[SentenceStarted | SpeechChunk]:
    """Yield what is spoken for segments, noting it in the ledger; raises ServiceError.

    Nothing begins before there is sound. Consecutive segments of one voice are one call of it.
    `expected` is who will speak the first segment: it gets ready while that is being written.
    """
    source = _Segments(segments, voicing_of, ledger)
    async with closing(segments):
        voicing = expected or await source.next_voicing()
        while voicing is not None:
            characters, seconds = ledger.spoken_length, ledger.speech_s
            async with closing(voicing.speak(source.texts(voicing))) as chunks:
                async for chunk in chunks:
                    moved = chunk.moved(characters, seconds)
                    begun = ledger.add_audio(len(moved.pcm), moved.words, moved.text_end)
                    source.note_progress()
                    for segment in begun:
                        yield _started(segment, source.caption(segment), ledger)
                    yield moved
            voicing = await source.next_voicing()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speakable:
    """A segment, who speaks it, and what is said for it."""

    segment: Segment
    voicing: Voicing
    spoken: SpokenForm


class _Segments:
    """Hands segments to the voices that speak them."""

    def __init__(
        self,
        segments: AsyncIterator[Segment],
        voicing_of: Callable[[Segment], Voicing],
        ledger: Ledger,
    ) -> None:
        self._segments = segments
        self._voicing_of = voicing_of
        self._ledger = ledger
        self._next: _Speakable | None = None
        self._captions: dict[int, str] = {}
        """By the first character in the reply."""
        self._progress = asyncio.Event()

    async def next_voicing(self) -> Voicing | None:
        """Return who speaks the next segment that can be spoken; None at the end."""
        if self._next is None:
            await self._read()
        return None if self._next is None else self._next.voicing

    async def texts(self, voicing: Voicing) -> AsyncIterator[str]:
        """Yield the spoken forms of segments up to the first that another voice speaks."""
        if self._next is None:
            await self._read()
        while self._next is not None and self._next.voicing == voicing:
            while self._ledger.awaited_s > AHEAD_S:
                self._progress.clear()
                await self._progress.wait()
            segment, spoken, self._next = self._next.segment, self._next.spoken, None
            self._captions[segment.start] = captioned(spoken.text, segment.text)
            self._ledger.add_segment(text_start=segment.start, text_end=segment.end, spoken=spoken)
            yield spoken.text
            await self._read()

    def caption(self, begun: SegmentEntry) -> str:
        """Return what captions show of a segment that has become audio."""
        return self._captions[begun.text_start]

    def note_progress(self) -> None:
        """More has become audio."""
        self._progress.set()

    async def _read(self) -> None:
        async for segment in self._segments:
            voicing = self._voicing_of(segment)
            if (spoken := voicing.spoken(segment.text)).text:
                self._next = _Speakable(segment=segment, voicing=voicing, spoken=spoken)
                return


def _started(segment: SegmentEntry, caption: str, ledger: Ledger) -> SentenceStarted:
    audio_s = ledger.seconds_of(segment.audio_start)
    return SentenceStarted(
        text=caption,
        text_start=segment.text_start,
        text_end=segment.text_end,
        audio_s=audio_s,
        words=tuple(word.moved(0, -audio_s) for word in segment.words),
    )
