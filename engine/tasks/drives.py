"""One drive: its input, how much of it was played, and its states."""

import asyncio
from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum, auto

from engine.audio.recordings import Recording
from engine.audio.sound import (
    PREBUFFER_S,
    TICK_S,
    InputEnd,
    PcmFormat,
    PcmInput,
    Samples,
    TrackResampler,
    lengthen,
)
from engine.clock import Clock

# Enough to keep the lips in time, and little enough to drop at an interrupt.
LISTEN_AHEAD_S = 0.1


class DriveIds(StrEnum):
    """How often a DriveId may be started."""

    SINGLE_USE = "single-use"
    REUSABLE = "reusable"


class DriveStatus(IntEnum):
    """The cloud's numbers; an interrupt may be reported as ENDED, see the settings."""

    QUEUED = 1
    DRIVING = 2
    FAILED = 3
    ENDED = 4
    INTERRUPTED = 5


class Phase(Enum):
    """What the next tick does with the input."""

    BUFFERING = auto()
    PLAYING = auto()
    STALLED = auto()


# Mono samples, their rate, and how many seconds after this tick they will be played.
Listener = Callable[[Samples, int, float], None]


class Drive:
    """The clock pulls ticks from it; a socket or a feeder pushes PCM into its input.

    `announce` is called at every change of status, `listener` with everything that will be played.
    """

    def __init__(
        self,
        *,
        drive_id: str,
        phase: Phase,
        open_within_s: float,
        recording: Recording,
        clock: Clock,
        announce: Callable[["Drive"], None],
        listener: Listener,
    ) -> None:
        self.drive_id = drive_id
        self.recording = recording
        self.status = DriveStatus.QUEUED
        self.input: PcmInput | None = None
        self.feeder: asyncio.Task[None] | None = None
        self.played_samples = 0
        self.stutters = 0
        self.started_time: float | None = None
        self.ended_time: float | None = None
        self._phase = phase
        self._clock = clock
        self._open_by = clock.monotonic() + open_within_s
        self._announce = announce
        self._listener = listener
        self._resampler: TrackResampler | None = None

    @property
    def is_over(self) -> bool:
        return self.status not in (DriveStatus.QUEUED, DriveStatus.DRIVING)

    def open(self, pcm_format: PcmFormat) -> PcmInput:
        """Start the input; anything written after the end of the drive is dropped."""
        self.input = PcmInput(pcm_format)
        if self.is_over:
            self.input.close(InputEnd.DISCARDED)
        return self.input

    def lose(self) -> None:
        """Handle input that ended without being declared complete: play it out, then fail."""
        if self.input is None:
            self.finish(DriveStatus.FAILED)
        else:
            self.input.close(InputEnd.LOST)

    def finish(self, status: DriveStatus) -> None:
        """Enter a final status immediately; sound that was not played is dropped."""
        if self.is_over:
            return
        self.status = status
        self.ended_time = self._clock.time()
        self.recording.close()
        if self.input is not None:
            self.input.close(InputEnd.DISCARDED)
        if self.feeder is not None:
            self.feeder.cancel()
        self._announce(self)

    def next_tick(self) -> Samples | None:
        """Return the next 20 ms at 48 kHz, or None for silence."""
        if self.input is None:
            if self._clock.monotonic() >= self._open_by:
                self.finish(DriveStatus.FAILED)
            return None
        match self._phase:
            case Phase.STALLED:
                return None
            case Phase.BUFFERING if self.input.end is None and self.input.buffered_s < PREBUFFER_S:
                return None
            case Phase.PLAYING if self.input.end is None and self.input.buffered_s < TICK_S:
                self._phase = Phase.BUFFERING
                self.stutters += 1
                return None
        return self._play(self.input)

    def _play(self, pcm_input: PcmInput) -> Samples | None:
        upcoming, ahead_s = pcm_input.listen(LISTEN_AHEAD_S)
        if len(upcoming):
            self._listener(upcoming, pcm_input.format.sample_rate, ahead_s)
        samples = pcm_input.read(TICK_S)
        if not len(samples):
            return self._end(pcm_input)
        if self._resampler is None:
            self._resampler = TrackResampler(pcm_input.format.sample_rate)
            self.status = DriveStatus.DRIVING
            self.started_time = self._clock.time()
            self._announce(self)
        self._phase = Phase.PLAYING
        self.played_samples += len(samples)
        sample_rate = pcm_input.format.sample_rate
        self.recording.write(samples, sample_rate)
        return self._resampler.push(lengthen(samples, round(TICK_S * sample_rate)))

    def _end(self, pcm_input: PcmInput) -> Samples | None:
        lost = pcm_input.end is InputEnd.LOST
        self.finish(DriveStatus.FAILED if lost else DriveStatus.ENDED)
        return None if self._resampler is None else self._resampler.flush()
