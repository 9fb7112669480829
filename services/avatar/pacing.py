"""When audio leaves for the cloud, and how much of it has been played by then."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from pydantic import ConfigDict, Field, Strict

from services.runtime.pcm import byte_count, duration_s

_LATEST_START_S = 1.0
"""Playback that begins begins no later than this after the first audio."""

_ROUNDING_S = 1e-6
"""Less than a sample: sums of durations are off by so much."""


_Number: TypeAlias = Annotated[float, Strict()]


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingProfile:
    """How a cloud wants to be fed; `pacing_profiles.toml` explains the fields and holds values."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    max_unplayed_s: Annotated[_Number, Field(ge=0.02, le=10)]
    packet_s: Annotated[_Number, Field(ge=0.01, le=1)]
    rate: Annotated[_Number, Field(ge=1)]
    start_delay_s: Annotated[_Number, Field(ge=0, le=2)]
    end_margin_s: Annotated[_Number, Field(ge=0, le=10)]
    backlog_s: Annotated[_Number, Field(ge=0.1, le=600)]
    progress_s: Annotated[_Number, Field(ge=0.05, le=10)]


class Playout:
    """The sample clock: what the cloud has played of what was sent, if it plays without a break."""

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
        """When all that was sent has been played; in the past if nothing was sent."""
        return self._ends_at

    @property
    def starts_at(self) -> float | None:
        """When playback begins, if audio was sent."""
        if self.first_sent_at is None:
            return None
        return self.first_sent_at + self._start_delay_s

    @property
    def is_cut(self) -> bool:
        """Whether playback was cut off."""
        return self._cut_at < float("inf")

    def send(self, audio_s: float, now: float) -> None:
        """Some audio leaves; after a gap it is played a start delay later."""
        if self.first_sent_at is None:
            self.first_sent_at = now
        if now >= self._ends_at:
            self._played_before_s = self.sent_s
            self._ends_at = now + self._start_delay_s
        self.sent_s += audio_s
        self._ends_at += audio_s

    def confirm_start(self, at: float) -> None:
        """Correct the clock: the cloud says that it began at this time.

        The first word counts, for the cloud repeats what it believes lost. What was reckoned as
        played may become less by that, once.
        """
        if self.first_sent_at is None or self._confirmed_at is not None:
            return
        # After a gap it is unknown which beginning is meant.
        start_s = max(0.0, at - self.first_sent_at)
        if self._played_before_s > 0 or start_s > _LATEST_START_S:
            return
        self._confirmed_at = at
        self._ends_at += start_s - self._start_delay_s
        self._start_delay_s = start_s

    def cut(self, now: float) -> None:
        """Nothing is played from now on."""
        self._cut_at = min(self._cut_at, now)

    def complete(self) -> None:
        """Correct the clock: the cloud says that it has played everything."""
        self._played_before_s = self.sent_s

    def unplayed_s(self, now: float) -> float:
        """What was sent and is not yet played."""
        left_s = max(0.0, self._ends_at - min(now, self._cut_at))
        return min(self.sent_s - self._played_before_s, left_s)

    def played_s(self, now: float) -> float:
        """What was played; goes back only when the cloud corrects the clock."""
        return self.sent_s - self.unplayed_s(now)

    def unplayed_at_most(self, audio_s: float) -> float:
        """The time from which no more than this is unplayed."""
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
        """Whether all audio there will ever be has left."""
        return self._is_complete and not self._pending

    @property
    def is_full(self) -> bool:
        """Whether the backlog is at its bound."""
        return duration_s(len(self._pending), self._rate) >= self._profile.backlog_s

    def push(self, pcm: bytes) -> None:
        """Add whole samples."""
        self._pending += pcm

    def complete(self) -> None:
        """Declare that no more audio will be pushed."""
        self._is_complete = True

    def due_at(self) -> float | None:
        """When `take` gives something next, as far as is known now."""
        if not self._pending:
            return None
        next_s = duration_s(min(len(self._pending), self._packet_bytes), self._rate)
        due_at = self.playout.unplayed_at_most(self._profile.max_unplayed_s - next_s)
        if len(self._pending) < self._packet_bytes and not self._is_complete:
            # Messages cost by number, not by size: let more come while the cloud has enough.
            due_at = max(due_at, self.playout.unplayed_at_most(self._profile.max_unplayed_s / 2))
        return max(due_at, self._free_at)

    def take(self, now: float) -> bytes:
        """The audio that must leave now, as one message; empty while none must."""
        due_at = self.due_at()
        if due_at is None or due_at > now:
            return b""
        pcm = bytes(self._pending[: self._packet_bytes])
        del self._pending[: self._packet_bytes]
        audio_s = duration_s(len(pcm), self._rate)
        self.playout.send(audio_s, now)
        # A tick that comes late is made up for, a pause of the caller is not.
        is_late = now - self._free_at < self._profile.packet_s
        self._free_at = (self._free_at if is_late else now) + audio_s / self._profile.rate
        return pcm


class PacingClock:
    """The one timer of all drives of a process: one for each would cost many times as much."""

    def __init__(
        self, *, tick_s: float = 0.02, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tick_s = tick_s
        self._clock = clock
        self._alarms: dict[asyncio.Event, float] = {}
        self._is_needed = asyncio.Event()

    def now(self) -> float:
        """The time in seconds that alarms are set by."""
        return self._clock()

    async def wait(self, wake: asyncio.Event, until: float | None) -> None:
        """Wait until someone sets `wake`, at the latest at the first tick from `until` on.

        Clears `wake`; an event that is set already is not waited for.
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
    """A clock that ticks until the end of the context."""
    clock = PacingClock()
    ticking = asyncio.create_task(clock.run())
    try:
        yield clock
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
