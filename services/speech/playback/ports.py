"""What playback needs from outside: a place where replies are heard."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class PlaybackMethod(StrEnum):
    """How the playback position is known."""

    ESTIMATED = "estimated"
    CONFIRMED = "confirmed"
    CALLER = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """The progress of a reply; `first_sent_at` is when its first audio was sent, in loop time."""

    sent_s: float = 0.0
    played_s: float = 0.0
    method: PlaybackMethod = PlaybackMethod.ESTIMATED
    first_sent_at: float | None = None
    is_interrupted: bool = False


class DriveWatcher(Protocol):
    """Gets notified of what happens to a drive; never blocks."""

    def drive_ready(self) -> None:
        """The far end is ready for audio."""

    def playback_started(self, method: PlaybackMethod) -> None:
        """The first sample is being heard."""


class Drive(Protocol):
    """One reply on its way to the place where it is heard.

    Once a drive is lost, it raises ServiceError; `playback` stays as last known.
    """

    @property
    def playback(self) -> Playback:
        """The progress of the reply, as last known."""

    async def send(self, pcm: bytes) -> bool:
        """Add whole samples; wait while too much of the reply is still unplayed.

        Return False if the drive has already ended and no more will be heard.
        """

    async def finish(self) -> Playback:
        """Declare the end of the audio, and wait until all of it is played or interrupted."""

    async def interrupt(self) -> Playback:
        """Stop playing now, drop the rest, and return how far it got."""


class Speaker(Protocol):
    """The place where replies are heard."""

    async def gesture(self, action: str) -> None:
        """Have the digital human make one of its gestures; one that it cannot make is left out."""

    def open(
        self, *, turn_id: int, sample_rate_hertz: int, watcher: DriveWatcher
    ) -> AbstractAsyncContextManager[Drive]:
        """Open a drive for one reply; entering does not wait for the far end."""
