"""When audio is sent to the cloud, and how much of it has been played."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from pydantic import ConfigDict, Field, Strict

from services.runtime.pcm import byte_count, duration_s

_LATEST_START_S = 1.0
"""Playback starts no later than this after the first audio."""

_ROUNDING_S = 1e-6
"""Less than a sample: the error of summed durations."""


_Number: TypeAlias = Annotated[float, Strict()]


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingProfile:
    """How a cloud must be fed; `pacing_profiles.toml` explains the fields and has the values."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    max_unplayed_s: Annotated[_Number, Field(ge=0.02, le=10)]
    packet_s: Annotated[_Number, Field(ge=0.01, le=1)]
    rate: Annotated[_Number, Field(ge=1)]
    start_delay_s: Annotated[_Number, Field(ge=0, le=2)]
    end_margin_s: Annotated[_Number, Field(ge=0, le=10)]
    backlog_s: Annotated[_Number, Field(ge=0.1, le=600)]
    progress_s: Annotated[_Number, Field(ge=0.05, le=10)]


class Playout:
    """The sample clock: how much of the sent audio was played, assuming the cloud never pauses."""

    def __init__(self, start_delay_s: float) -> None:
        self.sent_s = 0.0
        self.first_sent_at: float | None = None
        self._start_delay_s = start_delay_s
        self._confirmed_at: float | None = None
        self._played_before_s = 0.0
        self._ends_at = float("-inf")
        self._cut_at = float("inf")

    @property
    def ends_at(self) -> float:
        """When all sent audio has been played; in the past if there was none."""
        return self._ends_at

    @property
    def starts_at(self) -> float | None:
        """When playback starts, if audio was sent."""
        if self.first_sent_at is None:
            return None
        return self.first_sent_at + self._start_delay_s

    @property
    def is_cut(self) -> bool:
        """Whether playback was cut off."""
        return self._cut_at < float("inf")

    def send(self, audio_s: float, now: float) -> None:
        """Record that audio was sent; after a gap it is played a start delay later."""
        if self.first_sent_at is None:
            self.first_sent_at = now
        if now >= self._ends_at:
            self._played_before_s = self.sent_s
            self._ends_at = now + self._start_delay_s
        self.sent_s += audio_s
        self._ends_at += audio_s

    def confirm_start(self, at: float) -> None:
        """Correct the clock: the cloud reports that it started at this time.

        Only the first report counts, since the cloud repeats those it believes lost. The estimate
        of what was played may drop as a result, once.
        """
        if self.first_sent_at is None or self._confirmed_at is not None:
            return
        # After a gap it is unknown which start is meant.
        start_s = max(0.0, at - self.first_sent_at)
        if self._played_before_s > 0 or start_s > _LATEST_START_S:
            return
        self._confirmed_at = at
        self._ends_at += start_s - self._start_delay_s
        self._start_delay_s = start_s

    def cut(self, now: float) -> None:
        """Record that nothing is played from now on."""
        self._cut_at = min(self._cut_at, now)

    def complete(self) -> None:
        """Correct the clock: the cloud reports that it has played everything."""
        self._played_before_s = self.sent_s

    def unplayed_s(self, now: float) -> float:
        """Return how much was sent but not yet played."""
        left_s = max(0.0, self._ends_at - min(now, self._cut_at))
        return min(self.sent_s - self._played_before_s, left_s)

    def played_s(self, now: float) -> float:
        """Return how much was played; it decreases only when the cloud corrects the clock."""
        return self.sent_s - self.unplayed_s(now)

    def unplayed_at_most(self, audio_s: float) -> float:
        """Return when no more than this will be unplayed."""
        if self.sent_s - self._played_before_s <= audio_s + _ROUNDING_S:
            return float("-inf")
        return self._ends_at - audio_s


# The second of two pacers. The first, in the speech service (services/speech/playback/avatar.py),
# feeds this one some seconds ahead of playback, to cover the time that producing speech takes. This
# one holds back all but a fraction of a second: what the cloud has got may still be heard after an
# interruption.
class Pacer:
    """Holds a drive's audio back until the cloud needs it."""

    def __init__(self, profile: PacingProfile, *, sample_rate_hertz: int) -> None:
        self.playout = Playout(profile.start_delay_s)
        self._profile = profile
        self._rate = sample_rate_hertz
        self._packet_bytes = byte_count(profile.packet_s, sample_rate_hertz)
        self._pending = bytearray()
        self._is_complete = False
        self._free_at = float("-inf")

    @property
    def is_complete(self) -> bool:
        """Whether no more audio will be pushed."""
        return self._is_complete

    @property
    def is_drained(self) -> bool:
        """Whether all the audio there will be has been sent."""
        return self._is_complete and not self._pending

    @property
    def is_full(self) -> bool:
        """Whether the backlog is at its limit."""
        return duration_s(len(self._pending), self._rate) >= self._profile.backlog_s

    def push(self, pcm: bytes) -> None:
        """Add whole samples."""
        self._pending += pcm

    def complete(self) -> None:
        """Declare that no more audio will be pushed."""
        self._is_complete = True

    def due_at(self) -> float | None:
        """Return when `take` will next return audio, as far as is known."""
        if not self._pending:
            return None
        next_s = duration_s(min(len(self._pending), self._packet_bytes), self._rate)
        due_at = self.playout.unplayed_at_most(self._profile.max_unplayed_s - next_s)
        if len(self._pending) < self._packet_bytes and not self._is_complete:
            # Each message has a cost, whatever its size: gather more while the cloud has enough.
            due_at = max(due_at, self.playout.unplayed_at_most(self._profile.max_unplayed_s / 2))
        return max(due_at, self._free_at)

    def take(self, now: float) -> bytes:
        """Return the audio to send now, as one message; empty if none is due."""
        due_at = self.due_at()
        if due_at is None or due_at > now:
            return b""
        pcm = bytes(self._pending[: self._packet_bytes])
        del self._pending[: self._packet_bytes]
        audio_s = duration_s(len(pcm), self._rate)
        self.playout.send(audio_s, now)
        # Catch up after a late tick, but not after a pause by the caller.
        is_late = now - self._free_at < self._profile.packet_s
        self._free_at = (self._free_at if is_late else now) + audio_s / self._profile.rate
        return pcm


class PacingClock:
    """The one timer of all drives in a process: one per drive would cost many times as much."""

    def __init__(
        self, *, tick_s: float = 0.02, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tick_s = tick_s
        self._clock = clock
        self._alarms: dict[asyncio.Event, float] = {}
        self._is_needed = asyncio.Event()

    def now(self) -> float:
        """Return the time in seconds that alarms refer to."""
        return self._clock()

    async def wait(self, wake: asyncio.Event, until: float | None) -> None:
        """Wait until `wake` is set, or until the first tick at or after `until`.

        Clears `wake`; returns at once if it is already set.
        """
        if until is not None:
            self._alarms[wake] = until
            self._is_needed.set()
        try:
            await wake.wait()
        finally:
            self._alarms.pop(wake, None)
        wake.clear()

    async def run(self) -> None:
        """Tick until cancelled; sleeps while no alarm is set."""
        while True:
            if not self._alarms:
                self._is_needed.clear()
                await self._is_needed.wait()
            now = self._clock()
            for wake, until in self._alarms.items():
                if until <= now:
                    wake.set()
            await asyncio.sleep(self._tick_s)


@asynccontextmanager
async def running_clock() -> AsyncIterator[PacingClock]:
    """Run a clock until the end of the context."""
    clock = PacingClock()
    ticking = asyncio.create_task(clock.run())
    try:
        yield clock
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
