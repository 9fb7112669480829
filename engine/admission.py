"""Admission: refuses new tasks before they would make running ones late."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import structlog

WINDOW_S = 5.0
SAMPLE_S = 0.5
# Fewer than this within the window are not significant.
MIN_DONE = 25
# Once refused, tasks are admitted again below this share of the limit.
REOPEN_SHARE = 0.25

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How much was done since the start, and how much of it was late."""

    done: int
    late: int


class Measure(Protocol):
    """Something that must be on time: the ticks of the clock, the frames of the faces."""

    def tally(self) -> Tally:
        """The counts so far; they never decrease."""


class Room(Enum):
    """Whether there is room for one more task."""

    OPEN = auto()
    FULL = auto()


class Admission:
    """Watches the share of late work within the last seconds."""

    def __init__(self, *, measures: Sequence[Measure], max_late_share: float) -> None:
        self.late_share = 0.0
        self._measures = measures
        self._max_late_share = max_late_share
        self._room = Room.OPEN
        self._samples: deque[Sequence[Tally]] = deque(maxlen=round(WINDOW_S / SAMPLE_S) + 1)
        self.sample()

    @property
    def has_room(self) -> bool:
        return self._room is Room.OPEN

    def sample(self) -> None:
        """Sample the measures; call this every `SAMPLE_S`."""
        now = [measure.tally() for measure in self._measures]
        self._samples.append(now)
        shares = map(_share, self._samples[0], now)
        self.late_share = max(shares, default=0.0)
        match self._room:
            case Room.OPEN if self.late_share > self._max_late_share:
                self._enter(Room.FULL)
            case Room.FULL if self.late_share <= self._max_late_share * REOPEN_SHARE:
                self._enter(Room.OPEN)

    def _enter(self, room: Room) -> None:
        self._room = room
        log.warning("admission changed", room=room.name, late_share=round(self.late_share, 3))


def _share(before: Tally, now: Tally) -> float:
    done = now.done - before.done
    return (now.late - before.late) / done if done >= MIN_DONE else 0.0


@asynccontextmanager
async def watching_load(
    *, measures: Sequence[Measure], max_late_share: float
) -> AsyncIterator[Admission]:
    """Run an admission that samples its measures until the end of the context."""
    admission = Admission(measures=measures, max_late_share=max_late_share)
    task = asyncio.create_task(_sample(admission))
    try:
        yield admission
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sample(admission: Admission) -> None:
    while True:
        await asyncio.sleep(SAMPLE_S)
        admission.sample()
