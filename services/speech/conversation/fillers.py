"""Says something short while a tool keeps the user waiting, and stops when the reply goes on.

Fillers are heard and nothing else: they are neither in the reply's text nor remembered.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.pcm import byte_count, duration_s
from services.speech.playback.ledger import Ledger
from services.speech.playback.ports import Drive
from services.speech.playback.voicing import Voicing
from services.speech.streams import closing, once
from services.speech.tools.calls import ReplyCalls

log = structlog.get_logger(__name__)

AGAIN_S = 6.0
"""How long after one filler another follows."""
LEAD_S = 0.4
"""How much of a filler may be sent before it is played: what was sent cannot be taken back."""
PIECE_S = 0.1

T = TypeVar("T")
Gesture: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class FillerChoice:
    """Chooses fillers for one conversation; none follows itself."""

    def __init__(self) -> None:
        self._last = ""

    def choose(self, texts: Sequence[str]) -> str:
        """Return the text after the last one; empty if there is no other."""
        at = texts.index(self._last) + 1 if self._last in texts else 0
        chosen = texts[at % len(texts)] if texts else ""
        if chosen == self._last:
            return ""
        self._last = chosen
        return chosen


class Fillers:
    """The fillers of one reply."""

    def __init__(
        self,
        *,
        calls: ReplyCalls,
        choice: FillerChoice,
        texts: Sequence[str],
        after_s: float,
        gesture: Gesture,
        voicing: Voicing,
        ledger: Ledger,
    ) -> None:
        self._calls = calls
        self._choice = choice
        self._texts = texts
        self._after_s = after_s
        self._gesture = gesture
        self._gestures: list[asyncio.Task[None]] = []
        self._voicing = voicing
        self._ledger = ledger
        self._rate = voicing.synthesizer.sample_rate_hertz

    async def covering(self, items: AsyncIterator[T], drive: Drive) -> AsyncIterator[T]:
        """Yield the same items; what is said in between goes to the drive."""
        try:
            async with closing(items):
                while found := await self._next_of(items, drive):
                    yield found[0]
        finally:
            for gesture in self._gestures:
                gesture.cancel()
            await asyncio.gather(*self._gestures, return_exceptions=True)

    async def _next_of(self, items: AsyncIterator[T], drive: Drive) -> tuple[T, ...]:
        """Return the next item, or nothing at the end, and say fillers until then."""
        coming = asyncio.create_task(_next(items))
        try:
            await self._cover(coming, drive)
            return await coming
        finally:
            coming.cancel()
            await asyncio.wait({coming})

    async def _cover(self, coming: "asyncio.Task[tuple[T, ...]]", drive: Drive) -> None:
        """Say fillers until the next item is there."""
        pause_s = self._after_s
        while not coming.done():
            await asyncio.wait({coming}, timeout=max(PIECE_S, pause_s - self._calls.waiting_s))
            if coming.done() or self._calls.waiting_s < pause_s:
                continue
            if text := self._choice.choose(self._texts):
                self._gestures.append(asyncio.create_task(self._gesture()))
                try:
                    await self._say(text, coming, drive)
                except ServiceError as error:
                    log.warning("filler not said", reason=error.reason)
            pause_s = self._calls.waiting_s + AGAIN_S

    async def _say(self, text: str, coming: "asyncio.Task[tuple[T, ...]]", drive: Drive) -> None:
        clock = asyncio.get_running_loop().time
        begun_at, sent_s = clock(), 0.0
        size = byte_count(PIECE_S, self._rate)
        async with closing(self._voicing.speak(once(self._voicing.spoken(text).text))) as chunks:
            while (chunk := await _unless(coming, anext(chunks, None))) is not None:
                for start in range(0, len(chunk.pcm), size):
                    piece = chunk.pcm[start : start + size]
                    ahead_s = begun_at + sent_s - clock()
                    if ahead_s > LEAD_S:
                        await asyncio.wait({coming}, timeout=ahead_s - LEAD_S)
                    if coming.done():
                        await self._send(_faded(piece), drive)
                        return
                    await self._send(piece, drive)
                    sent_s += duration_s(len(piece), self._rate)

    async def _send(self, pcm: bytes, drive: Drive) -> None:
        if await drive.send(pcm):
            self._ledger.add_filler(len(pcm))


async def _next(items: AsyncIterator[T]) -> tuple[T, ...]:
    """Return the next item, or nothing at the end."""
    async for item in items:
        return (item,)
    return ()


async def _unless(coming: "asyncio.Task[object]", wanted: Awaitable[T]) -> T | None:
    """Return what is wanted, None if something else comes first."""

    async def want() -> T:
        return await wanted

    wanting = asyncio.create_task(want())
    try:
        await asyncio.wait({coming, wanting}, return_when=asyncio.FIRST_COMPLETED)
        return wanting.result() if wanting.done() else None
    finally:
        wanting.cancel()
        await asyncio.wait({wanting})


def _faded(pcm: bytes) -> bytes:
    """Return a piece that falls silent."""
    samples = np.frombuffer(pcm, "<i2")
    return (samples * np.linspace(1, 0, len(samples))).astype("<i2").tobytes()
